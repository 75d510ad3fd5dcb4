"""Writes Hugging Face checkpoints of T5 1.1: safetensors, in shards above 5 GB, and their JSON."""

import json
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from promptscale.checkpoints.arrays import LazyArray
from promptscale.checkpoints.huggingface import TABLE
from promptscale.config.sizes import ModelConfig
from promptscale.errors import CheckpointError
from promptscale.storage.atomic import atomic_directory

SHARD_BYTES = 5 * 10**9  # upper bound of a file of several arrays

# safetensors' names of dtypes: https://github.com/huggingface/safetensors#format
_DTYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
_PATTERNS = [
    (re.compile(re.escape(ours).replace(r"\{layer\}", r"(?P<layer>\d+)")), theirs, transposed)
    for theirs, ours, transposed in TABLE
]
_IDS = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}

Tensors = Mapping[str, LazyArray]


def write(folder: Path, params: Tensors, architecture: ModelConfig) -> None:
    """Writes the folder of a Hugging Face model, which transformers' `from_pretrained` loads.

    The folder has model.safetensors (or shards and their index), config.json and
    generation_config.json, and no tokenizer. It replaces an existing folder atomically. Arrays are
    read one after another, so that memory holds a single array.

    Args:
      folder: the local folder.
      params: the parameters by T5X's flat name, in T5X's orientation; all of `architecture`.
      architecture: the architecture for config.json.

    Raises:
      CheckpointError: the folder cannot be written, or an array cannot be read.
    """
    tensors = dict(_translate(name, params[name]) for name in sorted(params))
    shards = list(_shards(tensors))
    with atomic_directory(folder, CheckpointError) as partial:
        if len(shards) == 1:
            _write_file(partial / "model.safetensors", shards[0])
        else:
            _write_shards(partial, shards)
        _write_json(partial / "config.json", _config(architecture))
        _write_json(partial / "generation_config.json", _IDS)


def _translate(name: str, array: LazyArray) -> tuple[str, LazyArray]:
    """The Hugging Face name and orientation of an array of T5 1.1."""
    for pattern, theirs, transposed in _PATTERNS:
        if match := pattern.fullmatch(name):
            shape, read = array.shape[::-1], lambda index: array.read(index[::-1]).T
            tensor = LazyArray(shape, array.dtype, read) if transposed else array
            return theirs.format(**match.groupdict()), tensor
    raise CheckpointError(f"Hugging Face's T5 1.1 has no array for {name}.")


def _shards(tensors: Tensors) -> Iterator[Tensors]:
    """Cuts tensors into shards of at most SHARD_BYTES; a larger tensor is a shard of its own."""
    shard: dict[str, LazyArray] = {}
    size = 0
    for name, tensor in tensors.items():
        if shard and size + tensor.nbytes > SHARD_BYTES:
            yield shard
            shard, size = {}, 0
        shard[name] = tensor
        size += tensor.nbytes
    yield shard


def _write_shards(folder: Path, shards: list[Tensors]) -> None:
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        _write_file(folder / file, shard)
        weight_map |= dict.fromkeys(shard, file)
    size = sum(tensor.nbytes for shard in shards for tensor in shard.values())
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    _write_json(folder / "model.safetensors.index.json", index)


def _write_file(path: Path, tensors: Tensors) -> None:
    """Writes a safetensors file tensor by tensor; safetensors' own writer needs all in memory."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # transformers requires the format
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": _DTYPES[tensor.dtype.name],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)  # aligns the data
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor.whole()).reshape(-1).view(np.uint8).data)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _config(architecture: ModelConfig) -> dict[str, Any]:
    """The content of config.json (transformers' `T5Config`)."""
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "d_model": architecture.d_model,
        "d_kv": architecture.head_dim,
        "d_ff": architecture.d_ff,
        "num_layers": architecture.num_encoder_layers,
        "num_decoder_layers": architecture.num_decoder_layers,
        "num_heads": architecture.num_heads,
        "vocab_size": architecture.vocab_size,
        "relative_attention_num_buckets": architecture.relative_attention_num_buckets,
        "relative_attention_max_distance": architecture.relative_attention_max_distance,
        # These two tell T5 1.1 from T5 1.0; without the second, the logits would be scaled.
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
        "layer_norm_epsilon": 1e-6,
        "dropout_rate": 0.1,
        "is_encoder_decoder": True,
        **_IDS,
    }
