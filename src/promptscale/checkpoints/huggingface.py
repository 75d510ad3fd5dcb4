"""Hugging Face checkpoints of T5 1.1 (safetensors, in a single file or in shards)."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open

from promptscale.checkpoints.arrays import LazyArray
from promptscale.errors import CheckpointError, shortened
from promptscale.storage.contents import describe_content
from promptscale.storage.reasons import named_errors, reason

# Rows (Hugging Face's name, T5X's name, transposed?); torch.nn.Linear stores [out, in]. Both
# libraries share a tower's position biases between layers; Hugging Face stores them in layer 0.
with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as _file:
    TABLE = [(theirs, ours, flag == "yes") for theirs, ours, flag in [*csv.reader(_file)][1:]]

_COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
# Old files contain this table, which T5 does not use; the transformers library ignores it too.
_UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
_PATTERNS = [
    (re.compile(re.escape(theirs).replace(r"\{layer\}", r"(?P<layer>\d+)")), ours, transposed)
    for theirs, ours, transposed in TABLE
]


def is_checkpoint(folder: Path) -> bool:
    """Whether the folder holds a Hugging Face safetensors checkpoint."""
    with named_errors(f"The checkpoint {folder} cannot be read", CheckpointError):
        return any((folder / f"model.safetensors{end}").is_file() for end in ("", ".index.json"))


def open_arrays(folder: Path) -> dict[str, LazyArray]:
    """Opens the parameters of a T5 1.1 under T5X's flat names and in T5X's orientation.

    An array that T5 1.1 does not have stays under its Hugging Face name; the caller reports it.

    Raises:
      CheckpointError: a file is missing or damaged, or the towers have different embeddings.
    """
    tensors = _open_tensors(folder)
    tensors.pop(_UNUSED, None)
    for name in [name for name in _COPIES if name in tensors]:
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
            shape, read = tensor.shape[::-1], lambda index: tensor.read(index[::-1]).T
            array = LazyArray(shape, tensor.dtype, read) if transposed else tensor
            return ours.format(**match.groupdict()), array
    return name, tensor


def _open_tensors(folder: Path) -> dict[str, LazyArray]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return _open_file(folder / "model.safetensors")
    with named_errors(f"The file {index} cannot be read", CheckpointError):
        content = index.read_bytes()
    try:
        shard_of = TypeAdapter(dict[str, str]).validate_python(json.loads(content)["weight_map"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"The file {index} is damaged: it should hold a `weight_map` from array to file."
        ) from error
    tensors: dict[str, LazyArray] = {}
    for shard in sorted(set(shard_of.values())):
        tensors |= _open_file(folder / shard)
    if missing := sorted(set(shard_of) - set(tensors)):
        raise CheckpointError(f"The shards beside {index} do not hold {shortened(missing)}.")
    return tensors


def _open_file(path: Path) -> dict[str, LazyArray]:
    try:
        file = safe_open(path, framework="numpy")
        return {name: _tensor(path, file, name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(f"The checkpoint file {path} is missing.") from error
    except (OSError, SafetensorError) as error:
        refusal = named_errors(f"The checkpoint file {path} cannot be read", CheckpointError)
        with refusal, path.open("rb") as damaged:
            clause = describe_content(damaged.read(200))
        raise CheckpointError(
            f"The checkpoint file {path} is damaged ({reason(error)}): {clause}."
        ) from error


def _tensor(path: Path, file: Any, name: str) -> LazyArray:
    part = file.get_slice(name)
    shape = tuple(part.get_shape())
    # safetensors names dtypes in its notation; an empty read gives NumPy's dtype, bfloat16 too.
    try:
        dtype = part[tuple(slice(0, 0) for _ in shape)].dtype
    except (AttributeError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"The array {name} in {path} is {part.get_dtype()} of shape {shape}; an array should "
            "be float32, float16 or bfloat16."
        ) from error
    return LazyArray(shape, dtype, lambda index: np.asarray(part[index]))
