"""Prepared datasets on disk: token ids in memory-mapped arrays, texts and labels in JSON lines.

A dataset is a pair of files whose names differ in the suffix: `PREFIX.safetensors` holds the ids
of all examples end to end (without EOS, not truncated) with offsets; `PREFIX.jsonl` holds one row
per example. The same input gives the same bytes. Reading needs neither TensorFlow nor the
datasets' libraries.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Integer
from safetensors.numpy import save

from promptscale.data.json_lines import read_objects
from promptscale.errors import DataError
from promptscale.storage.atomic import atomic_write
from promptscale.storage.reasons import reason

HEADER_SIZE = 8  # a safetensors file starts with the length of its header in so many bytes
_DTYPES = {"U16": np.uint16, "U32": np.uint32, "I64": np.int64}
_NAMES = ("inputs", "inputs_offsets", "targets", "targets_offsets")


@dataclasses.dataclass(frozen=True)
class Ragged:
    """Sequences of different lengths: `ids[offsets[i]:offsets[i + 1]]` is sequence `i`."""

    ids: Integer[np.ndarray, " tokens"]
    offsets: Int[np.ndarray, " offsets"]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Integer[np.ndarray, " length"]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self) -> Iterator[Integer[np.ndarray, " length"]]:
        return (self[index] for index in range(len(self)))

    def read_async(self, start: int, end: int) -> Callable[[], Integer[np.ndarray, " length"]]:
        """Returns a function that gives the ids from `start` to `end` (`corpus.Shard`)."""
        return lambda: self.ids[start:end]

    @classmethod
    def checked(cls, ids: np.ndarray, offsets: np.ndarray) -> "Ragged":
        """The sequences of arrays that were read from a file.

        Raises:
          ValueError: the arrays are not ids and the offsets into them.
        """
        check_layout(ids.shape, ids.dtype, offsets)
        return cls(ids, offsets)

    @property
    def lengths(self) -> Int[np.ndarray, " sequences"]:
        """The length of each sequence in tokens."""
        return np.diff(self.offsets)

    def prepend(self, prefix: Sequence[int]) -> "Ragged":
        """Puts the ids of `prefix` before every sequence."""
        if not prefix:
            return self
        size = len(prefix)
        starts = np.repeat(self.offsets[:-1], size)
        ids = np.insert(self.ids.astype(np.uint32), starts, np.tile(prefix, len(self)))
        return Ragged(_narrow(ids), self.offsets + size * np.arange(len(self.offsets)))

    @classmethod
    def pack(cls, sequences: Iterable[Sequence[int] | np.ndarray]) -> "Ragged":
        """Lays the sequences end to end, as 16-bit ids where all of them fit."""
        arrays = [np.asarray(sequence, np.uint32) for sequence in sequences]
        offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int64)
        return cls(_narrow(np.concatenate([np.zeros(0, np.uint32), *arrays])), offsets)


def check_layout(shape: Sequence[int], dtype: Any, offsets: np.ndarray) -> None:
    """Checks the offsets of sequences in ids of this shape and type.

    Raises:
      ValueError: the types are wrong, or the offsets do not rise from 0 to the number of ids.
    """
    if len(shape) != 1 or np.dtype(dtype).kind != "u" or offsets.ndim != 1:
        raise ValueError(f"ids are {dtype} of shape {shape}, offsets of shape {offsets.shape}")
    edges = np.concatenate([[0], offsets, shape])
    if offsets.dtype != np.int64 or np.any(np.diff(edges) < 0) or edges[1] or edges[-2] != shape[0]:
        raise ValueError("offsets do not rise from 0 to the number of ids")


def _narrow(ids: Integer[np.ndarray, " tokens"]) -> Integer[np.ndarray, " tokens"]:
    """Converts ids to 16 bits if all of them fit."""
    return ids.astype(np.uint16 if ids.max(initial=0) < 2**16 else np.uint32)


@dataclasses.dataclass(frozen=True)
class Examples:
    """A split of a task: token ids of inputs and targets, and where its files are."""

    inputs: Ragged
    targets: Ragged
    prefix: Path

    def __len__(self) -> int:
        return len(self.inputs)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the `.jsonl` file: texts, and the fields that the task's metrics need.

        Raises:
          DataError: the file is missing or damaged, or has more or fewer rows than there are
            examples.
        """
        path = self.prefix.with_suffix(".jsonl")
        rows = read_rows(path, ("id", "inputs", "targets"))
        if len(rows) != len(self):
            raise DataError(
                f"{path} has {len(rows)} rows but its token file has {len(self)} examples; "
                "prepare the dataset again."
            )
        for row in rows:
            if not (isinstance(row.get("label"), int) or row.get("answers")):
                raise DataError(
                    f"{path}: the example {row['id']} has neither a label nor answers; "
                    "prepare the dataset again."
                )
        return rows


def read_rows(path: Path, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Reads one JSON object per line; each must have the fields `texts`, which are strings.

    Raises:
      DataError: the file is missing or damaged; the message names file and line.
    """
    rows = []
    for place, row in read_objects(path):
        for name in texts:
            if not isinstance(row.get(name), str):
                raise DataError(f"{place}: the field {name!r} is not a text; prepare it again.")
        rows.append(row)
    return rows


def write_rows(path: Path, rows: Iterable[Mapping]) -> None:
    """Writes one JSON object per line."""
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


class ArrayLocation(NamedTuple):
    """An array in a safetensors file; `start` and `end` count bytes after the header."""

    dtype: Any  # a NumPy type
    shape: list[int]
    start: int
    end: int


def locate_arrays(header: Mapping[str, Any], names: Sequence[str]) -> list[ArrayLocation]:
    """The locations of the named arrays, from the header of a safetensors file.

    Raises:
      KeyError, ValueError, TypeError: the header lacks an array or is damaged.
    """
    return [
        ArrayLocation(_DTYPES[entry["dtype"]], entry["shape"], *entry["data_offsets"])
        for entry in (header[name] for name in names)
    ]


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a safetensors file."""
    with atomic_write(path) as partial:
        # Not `save_file`, whose files only their owner can read.
        partial.write_bytes(save(dict(arrays)))


def read_arrays(path: Path, names: Sequence[str]) -> list[Ragged]:
    """Maps sequences of a safetensors file into memory: for each name its ids and offsets.

    Raises:
      DataError: the file is missing or damaged.
    """
    try:
        with path.open("rb") as file:
            header_size = int.from_bytes(file.read(HEADER_SIZE), "little")
            header = json.loads(file.read(min(header_size, path.stat().st_size)))
        data = np.asarray(np.memmap(path, np.uint8, mode="r", offset=HEADER_SIZE + header_size))
        arrays = [
            data[array.start : array.end].view(array.dtype).reshape(array.shape)
            for array in locate_arrays(header, names)
        ]
        return [Ragged.checked(*pair) for pair in zip(arrays[::2], arrays[1::2], strict=True)]
    except FileNotFoundError:
        raise DataError(f"The prepared dataset {path} is missing; prepare it again.") from None
    except OSError as error:
        raise DataError(f"The prepared dataset {path} cannot be read: {reason(error)}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(
            f"The prepared dataset {path} is damaged; delete it and prepare it again."
        ) from error


def write(prefix: Path, inputs: Ragged, targets: Ragged, rows: Iterable[Mapping]) -> None:
    """Writes `PREFIX.jsonl` and then `PREFIX.safetensors`, each atomically."""
    write_rows(prefix.with_suffix(".jsonl"), rows)
    arrays = (inputs.ids, inputs.offsets, targets.ids, targets.offsets)
    write_arrays(prefix.with_suffix(".safetensors"), dict(zip(_NAMES, arrays, strict=True)))


def read(prefix: Path, vocab_size: int | None = None) -> Examples:
    """Opens a prepared split.

    Args:
      prefix: the path of the split's files without their suffixes.
      vocab_size: the rows of the model's embedding, which the ids must be below; None: any ids.

    Raises:
      DataError: the token file is missing or damaged, has no examples, or an id is too large.
    """
    path = prefix.with_suffix(".safetensors")
    inputs, targets = read_arrays(path, _NAMES)
    if len(inputs) != len(targets):
        raise DataError(
            f"The prepared dataset {path} is damaged: it has {len(inputs)} inputs and "
            f"{len(targets)} targets; prepare it again."
        )
    if not len(inputs):
        raise DataError(f"The prepared dataset {path} has no examples; check what it is made of.")
    for sequences in (inputs, targets):
        check_ids(sequences.ids, vocab_size, str(path))
    return Examples(inputs, targets, prefix)


def check_ids(ids: Integer[np.ndarray, " tokens"], vocab_size: int | None, source: str) -> None:
    """Checks that the embedding has a row for each token id.

    Raises:
      DataError: an id is `vocab_size` or more; the message names the `source` of the ids.
    """
    if vocab_size is not None and ids.max(initial=0) >= vocab_size:
        raise DataError(
            f"{source} has the token id {ids.max()}, but the model's embedding has only "
            f"{vocab_size} rows; prepare it with the model's vocabulary."
        )
