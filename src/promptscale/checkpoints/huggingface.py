"""Hugging Face checkpoints of T5 1.1 (safetensors, in a single file or in shards)."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from promptscale.checkpoints.arrays import Index, LazyArray
from promptscale.errors import CheckpointError

_SELF = "layer.0.SelfAttention"
_CROSS = "layer.1.EncDecAttention"
_PROJECTIONS = {"q": "query", "k": "key", "v": "value", "o": "out"}


def _layers(tower: str, attentions: dict[str, str], norms: tuple[str, ...]):
    """Rows of `TABLE` for the layers of a tower; the MLP is the last sublayer of a layer."""
    theirs, ours = f"{tower}.block.{{layer}}", f"{tower}/layers_{{layer}}"
    for their_attention, our_attention in attentions.items():
        for short, long in _PROJECTIONS.items():
            source = f"{theirs}.{their_attention}.{short}.weight"
            yield source, f"{ours}/{our_attention}/{long}/kernel", True
    for index, norm in enumerate(norms):
        yield f"{theirs}.layer.{index}.layer_norm.weight", f"{ours}/{norm}/scale", False
    mlp = f"{theirs}.layer.{len(norms) - 1}.DenseReluDense"
    for name in ("wi_0", "wi_1", "wo"):
        yield f"{mlp}.{name}.weight", f"{ours}/mlp/{name}/kernel", True
    # Both libraries share a tower's position biases between layers; here they are in layer 0.
    bias = f"{tower}.block.0.{_SELF}.relative_attention_bias.weight"
    yield bias, f"{tower}/relpos_bias/rel_embedding", True
    yield f"{tower}.final_layer_norm.weight", f"{tower}/{tower}_norm/scale", False


TABLE: tuple[tuple[str, str, bool], ...] = (
    ("shared.weight", "token_embedder/embedding", False),
    ("lm_head.weight", "decoder/logits_dense/kernel", True),
    *_layers("encoder", {_SELF: "attention"}, ("pre_attention_layer_norm", "pre_mlp_layer_norm")),
    *_layers(
        "decoder",
        {_SELF: "self_attention", _CROSS: "encoder_decoder_attention"},
        ("pre_self_attention_layer_norm", "pre_cross_attention_layer_norm", "pre_mlp_layer_norm"),
    ),
)
"""Rows (Hugging Face's name, T5X's name, transposed?); torch.nn.Linear stores [out, in]."""

_COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
# Old files contain this table, which T5 does not use; the transformers library ignores it too.
_UNUSED = f"decoder.block.0.{_CROSS}.relative_attention_bias.weight"
_PATTERNS = [
    (re.compile(re.escape(theirs).replace(r"\{layer\}", r"(?P<layer>\d+)")), ours, transposed)
    for theirs, ours, transposed in TABLE
]


def is_checkpoint(folder: Path) -> bool:
    """Whether the folder holds a Hugging Face safetensors checkpoint."""
    return any((folder / f"model.safetensors{suffix}").is_file() for suffix in ("", ".index.json"))


def open_arrays(folder: Path) -> dict[str, LazyArray]:
    """Opens the parameters of a Hugging Face T5 1.1 model.

    Returns:
      The arrays under T5X's flat names and in T5X's orientation. An array that T5 1.1 does not
      have stays under its Hugging Face name, and the caller reports it.
    Raises:
      CheckpointError: a file is missing or damaged, or the towers have different embeddings.
    """
    tensors = _open_tensors(folder)
    tensors.pop(_UNUSED, None)
    for name in _COPIES:
        if name not in tensors:
            continue
        copy = tensors.pop(name)
        shared = tensors.setdefault("shared.weight", copy)
        if shared is not copy and not np.array_equal(copy.whole(), shared.whole()):
            raise CheckpointError(
                f"{name} in {folder} is not equal to shared.weight; "
                "both towers of T5 should share a token embedding."
            )
    return dict(_translate(name, tensor) for name, tensor in tensors.items())


def _translate(name: str, tensor: LazyArray) -> tuple[str, LazyArray]:
    for pattern, ours, transposed in _PATTERNS:
        if match := pattern.fullmatch(name):
            return ours.format(**match.groupdict()), _transposed(tensor) if transposed else tensor
    return name, tensor


def _transposed(tensor: LazyArray) -> LazyArray:
    def read(index: Index) -> np.ndarray:
        return tensor.read(index[::-1]).T

    return LazyArray(tensor.shape[::-1], tensor.dtype, read)


def _open_tensors(folder: Path) -> dict[str, LazyArray]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return _open_file(folder / "model.safetensors")
    try:
        shard_of: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = sorted(set(shard_of.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index} is damaged: it should hold a `weight_map`.") from error
    tensors: dict[str, LazyArray] = {}
    for shard in shards:
        tensors |= _open_file(folder / shard)
    if missing := sorted(set(shard_of) - set(tensors)):
        raise CheckpointError(f"The shards beside {index} do not hold {', '.join(missing)}.")
    return tensors


def _open_file(path: Path) -> dict[str, LazyArray]:
    try:
        file = safe_open(path, framework="numpy")
        return {name: _tensor(file, name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        what = "is damaged" if path.exists() else "is missing"
        raise CheckpointError(f"The checkpoint file {path} {what} ({error}).") from error


def _tensor(file: Any, name: str) -> LazyArray:
    part = file.get_slice(name)
    shape = tuple(part.get_shape())
    # safetensors names dtypes in its notation; an empty read gives NumPy's dtype, bfloat16 too.
    dtype = part[tuple(slice(0, 0) for _ in shape)].dtype
    return LazyArray(shape, dtype, lambda index: np.asarray(part[index]))
