"""Prepared datasets on disk: token ids memory-mapped, the text and the metrics' fields beside.

A dataset is a pair of files with one prefix: `PREFIX.safetensors` holds the ids of all examples
end to end (no EOS, not truncated) with offsets; `PREFIX.jsonl` holds one row per example. The
same input gives the same bytes. Reading needs neither TensorFlow nor the datasets' libraries.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Integer
from safetensors.numpy import save_file

from promptscale.errors import DataError
from promptscale.storage.atomic import atomic_write

HEADER_SIZE = 8  # bytes at the start of a safetensors file that tell how long its header is
_DTYPES = {"U16": np.uint16, "U32": np.uint32, "I64": np.int64}


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

    def ask(self, start: int, end: int) -> Callable[[], Integer[np.ndarray, " length"]]:
        """The ids from `start` to `end`, in the form of `text.Shard`: they are here already."""
        return lambda: self.ids[start:end]

    @property
    def lengths(self) -> Int[np.ndarray, " sequences"]:
        """The length of each sequence in tokens."""
        return np.diff(self.offsets)

    def prepend(self, head: Sequence[int]) -> "Ragged":
        """Every sequence behind the ids of `head`."""
        return Ragged.pack([*head, *sequence] for sequence in self)

    @classmethod
    def pack(cls, sequences: Iterable[Sequence[int] | np.ndarray]) -> "Ragged":
        """Lays the sequences end to end, as 16-bit ids where they fit."""
        arrays = [np.asarray(sequence, np.uint32) for sequence in sequences]
        offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int64)
        ids = np.concatenate(arrays) if arrays else np.zeros(0, np.uint32)
        small = not ids.size or int(ids.max()) <= np.iinfo(np.uint16).max
        return cls(ids.astype(np.uint16 if small else np.uint32), offsets)


@dataclasses.dataclass(frozen=True)
class Examples:
    """One split of one task: token ids of inputs and targets, and the rows' other fields."""

    inputs: Ragged
    targets: Ragged
    prefix: Path

    def __len__(self) -> int:
        return len(self.inputs)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the `.jsonl` file: texts, and what the task's metrics need."""
        path = self.prefix.with_suffix(".jsonl")
        rows = read_rows(path)
        if len(rows) != len(self):
            raise DataError(
                f"{path} has {len(rows)} rows but its token file has {len(self)} examples; "
                "prepare the dataset again."
            )
        return rows


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Reads one JSON object per line; other line separators may stand in texts."""
    with path.open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]


def write_rows(path: Path, rows: Iterable[Mapping]) -> None:
    """Writes one JSON object per line."""
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


class Place(NamedTuple):
    """Where an array is in a safetensors file, in bytes behind the header."""

    start: int
    end: int
    dtype: Any  # a NumPy type
    shape: list[int]


def places(header: Mapping[str, Any], names: Sequence[str]) -> list[Place]:
    """Where the named arrays are.

    Raises:
      KeyError, ValueError, TypeError: the header does not say.
    """
    found = []
    for one in (header[name] for name in names):
        start, end = one["data_offsets"]
        found.append(Place(start, end, _DTYPES[one["dtype"]], one["shape"]))
    return found


def save_arrays(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes a safetensors file."""
    with atomic_write(path) as partial:
        save_file(dict(tensors), partial)


def load_arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """The named arrays of a safetensors file, mapped into memory and read only when touched.

    Raises:
      DataError: the file is missing or damaged.
    """
    try:
        with path.open("rb") as file:
            header_size = int.from_bytes(file.read(HEADER_SIZE), "little")
            header = json.loads(file.read(min(header_size, path.stat().st_size)))
        data = np.asarray(np.memmap(path, np.uint8, mode="r", offset=HEADER_SIZE + header_size))
        arrays = [
            data[one.start : one.end].view(one.dtype).reshape(one.shape)
            for one in places(header, names)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = "is damaged" if path.exists() else "is missing"
        raise DataError(f"The prepared dataset {path} {what}; prepare it again.") from error
    return arrays


def write(prefix: Path, inputs: Ragged, targets: Ragged, rows: Iterable[Mapping]) -> None:
    """Writes `PREFIX.jsonl` and then `PREFIX.safetensors`, each under its final name when whole."""
    write_rows(prefix.with_suffix(".jsonl"), rows)
    tensors = {
        "inputs": inputs.ids,
        "inputs_offsets": inputs.offsets,
        "targets": targets.ids,
        "targets_offsets": targets.offsets,
    }
    save_arrays(prefix.with_suffix(".safetensors"), tensors)


def read(prefix: Path) -> Examples:
    """Opens a prepared split.

    Raises:
      DataError: the file is missing or damaged.
    """
    names = ("inputs", "inputs_offsets", "targets", "targets_offsets")
    tensors = load_arrays(prefix.with_suffix(".safetensors"), names)
    return Examples(Ragged(*tensors[:2]), Ragged(*tensors[2:]), prefix)
