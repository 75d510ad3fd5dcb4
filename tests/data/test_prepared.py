"""Ragged arrays: the ids of packed and of prefixed sequences."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptscale.data.prepared import Ragged, write

ids = st.integers(0, 70_000)
sequences = st.lists(st.lists(ids, max_size=5), max_size=6)


@given(sequences, st.lists(ids, max_size=3))
def test_prepend_puts_the_prefix_before_every_sequence(rows: list, prefix: list) -> None:
    prefixed = Ragged.pack(rows).prepend(prefix)
    expected = Ragged.pack([*prefix, *row] for row in rows)
    assert [row.tolist() for row in prefixed] == [[*prefix, *row] for row in rows]
    for ours, packed in ((prefixed.ids, expected.ids), (prefixed.offsets, expected.offsets)):
        assert ours.dtype == packed.dtype and ours.tobytes() == packed.tobytes()


@pytest.mark.parametrize(("largest", "dtype"), [(65_535, np.uint16), (65_536, np.uint32)])
def test_ids_have_16_bits_where_they_fit(largest: int, dtype: type) -> None:
    assert Ragged.pack([[1], [], [largest]]).ids.dtype == dtype
    assert Ragged.pack([[1], [2]]).prepend([largest]).ids.dtype == dtype


def test_the_files_have_the_rights_of_any_new_file(tmp_path: Path) -> None:
    """Other users of a cluster must be able to read prepared data."""
    packed = Ragged.pack([[1]])
    write(tmp_path / "train", packed, packed, [])
    (tmp_path / "new").touch()
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1
