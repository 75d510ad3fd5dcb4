import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from flax import serialization
from flax.traverse_util import flatten_dict, unflatten_dict

from promptscale.checkpoints import arrays, t5x
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.config.sizes import ModelConfig
from promptscale.errors import CheckpointError
from tests.storage.test_atomic import small_disk

from . import synthetic_checkpoints as synthetic

EMBEDDING = "target.token_embedder.embedding"


@pytest.fixture
def authors(shared: Path) -> Path:
    return shared / "data/prompt-tuning/test_data/test_t5_1_1_tiny/checkpoint_3"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A synthetic checkpoint whose larger arrays take several chunks."""
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 256)
    t5x.write(tmp_path / "checkpoint_1100000", synthetic.checkpoint())
    return tmp_path / "checkpoint_1100000"


def assert_same(actual: Checkpoint, expected: Checkpoint) -> None:
    assert actual.step == expected.step
    synthetic.assert_identical(actual.params, expected.params)
    assert actual.optimizer.keys() == expected.optimizer.keys()
    for name, slots in expected.optimizer.items():
        synthetic.assert_identical(actual.optimizer[name], slots)


def manifest(folder: Path) -> dict:
    return serialization.msgpack_restore((folder / "checkpoint").read_bytes())


def entries(folder: Path) -> dict:
    """The leaves of the msgpack file; arrays in zarr are TensorStore specs."""
    return flatten_dict(manifest(folder), sep="/", is_leaf=lambda _, node: "kvstore" in node)


class TestTheAuthorsCheckpoint:
    def test_every_array_is_read(self, authors: Path, shared: Path):
        checkpoint = synthetic.read(authors)
        shapes = synthetic.t5_shapes(
            d_model=4, d_ff=8, joint=4, heads=2, layers=2, vocab=32128, buckets=4
        )
        assert {name: array.shape for name, array in checkpoint.params.items()} == shapes
        tiny = ModelConfig(
            d_model=4,
            d_ff=8,
            num_encoder_layers=2,
            num_decoder_layers=2,
            num_heads=2,
            head_dim=2,
            relative_attention_num_buckets=4,
        )
        assert sum(array.size for array in checkpoint.params.values()) == tiny.num_parameters
        assert {array.dtype for array in checkpoint.params.values()} == {np.dtype(np.float32)}
        assert checkpoint.step == 3
        assert checkpoint.optimizer.keys() == shapes.keys()
        for name, slots in checkpoint.optimizer.items():
            # The parameters are too small to be factored: only v is used.
            assert slots.keys() == set(t5x.SLOTS)
            assert slots["v"].shape == shapes[name]
            assert slots["m"].shape == slots["v_row"].shape == slots["v_col"].shape == (1,)
        embedding = np.load(
            shared / "data/prompt-tuning/test_data/tiny_embeddings_32128x4.npy", allow_pickle=False
        )
        read = checkpoint.params["token_embedder/embedding"]
        assert read.tobytes() == embedding.tobytes()

    def test_equals_the_recorded_parameters(self, authors: Path, shared: Path):
        params = synthetic.read(authors).params
        with np.load(shared / "oracle/t5x/tiny_d4_ckpt.npz", allow_pickle=False) as oracle:
            recorded = {
                name.removeprefix("param/"): oracle[name]
                for name in oracle.files
                if name.startswith("param/")
            }
        synthetic.assert_identical(params, recorded)

    def test_we_write_the_same_layout(self, authors: Path, tmp_path: Path):
        ours = tmp_path / "checkpoint_3"
        t5x.write(ours, synthetic.read(authors))
        assert_same(synthetic.read(ours), synthetic.read(authors))
        assert {path.name for path in ours.iterdir()} == {path.name for path in authors.iterdir()}
        written, original = entries(ours), entries(authors)
        assert written.keys() == original.keys()
        for name, leaf in original.items():
            if not isinstance(leaf, dict):
                assert np.array_equal(written[name], leaf), name
                assert np.asarray(written[name]).dtype == np.asarray(leaf).dtype, name
                continue
            assert written[name].keys() == leaf.keys()
            assert written[name]["kvstore"].keys() == leaf["kvstore"].keys()
            assert without(written[name]["metadata"], "chunks") == without(
                leaf["metadata"], "chunks"
            )
            zarr = leaf["kvstore"]["path"]
            # Newer versions of TensorStore write zarr's default separator explicitly.
            assert without(zarray(ours / zarr), "chunks", "dimension_separator") == without(
                zarray(authors / zarr), "chunks"
            )
            assert zarray(ours / zarr).get("dimension_separator", ".") == "."


def zarray(folder: Path) -> dict:
    return json.loads((folder / ".zarray").read_text())


def without(fields: dict, *names: str) -> dict:
    return {name: value for name, value in fields.items() if name not in names}


class TestWriting:
    def test_what_is_read_is_what_was_written(self, folder: Path):
        assert (folder / EMBEDDING / "3.0").exists()
        assert_same(synthetic.read(folder), synthetic.checkpoint())

    def test_odd_types_and_shapes_keep_their_bits(self, tmp_path: Path):
        odd = Checkpoint(7, synthetic.odd_arrays(), {})
        t5x.write(tmp_path / "odd", odd)
        assert_same(synthetic.read(tmp_path / "odd"), odd)

    def test_large_accumulators_go_to_zarr(self, folder: Path):
        names = {path.name for path in folder.iterdir() if path.is_dir()}
        assert not any(name.startswith("state") for name in names)
        large = {"x/scale": {"v": np.arange(100, dtype=np.float32)}}
        t5x.write(folder, Checkpoint(0, {}, large))
        assert (folder / "state.param_states.x.scale.v" / "1").exists()
        synthetic.assert_identical(synthetic.read(folder).optimizer["x/scale"], large["x/scale"])

    def test_equal_checkpoints_give_equal_bytes(self, folder: Path, tmp_path: Path):
        t5x.write(tmp_path / "again", synthetic.checkpoint())
        files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
        assert len(files) > 30
        for name, path in files.items():
            assert (tmp_path / "again" / name).read_bytes() == path.read_bytes(), name

    def test_a_full_disk_leaves_the_old_checkpoint(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(arrays, "CHUNK_BYTES", 2**20)
        before = sorted(folder.parent.rglob("*"))
        larger = Checkpoint(0, {"x/kernel": np.random.default_rng(0).random((500, 2))}, {})
        with small_disk(), pytest.raises(CheckpointError, match=r"cannot be written: .*large"):
            t5x.write(folder, larger)
        assert sorted(folder.parent.rglob("*")) == before
        assert_same(synthetic.read(folder), synthetic.checkpoint())

    def test_a_failed_write_leaves_the_old_checkpoint(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def fail(*_, **__):
            raise OSError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(serialization, "msgpack_serialize", fail)
            with pytest.raises(CheckpointError, match="disk full"):
                t5x.write(folder, Checkpoint(0, {}, {}))
        assert_same(synthetic.read(folder), synthetic.checkpoint())
        t5x.write(folder, Checkpoint(5, {}, {}))
        assert synthetic.read(folder) == Checkpoint(5, {}, {})
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]


class TestReading:
    def test_the_msgpack_file_names_its_folder(self, folder: Path):
        assert_same(synthetic.read(folder / "checkpoint"), synthetic.checkpoint())

    def test_relative_paths(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(folder)
        for location in (".", "checkpoint", "./", f"../{folder.name}"):
            assert synthetic.read(location).step == 1_100_000

    def test_the_optimizer_can_be_left_out(self, folder: Path):
        checkpoint = synthetic.read(str(folder), with_optimizer=False)
        assert checkpoint.optimizer == {}
        synthetic.assert_identical(checkpoint.params, synthetic.checkpoint().params)

    def test_written_elsewhere(self, folder: Path):
        """T5X on Google Cloud writes a dummy bucket; older versions put `path` beside `kvstore`."""
        tree = manifest(folder)
        spec = tree["optimizer"]["target"]["token_embedder"]["embedding"]
        spec["path"] = spec["kvstore"].pop("path")
        spec["kvstore"] = {"driver": "gcs", "bucket": "t5x-dummy-bucket"}
        spec["dtype"] = "float32"
        del spec["metadata"]["dtype"]
        (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(tree))
        assert_same(synthetic.read(folder), synthetic.checkpoint())

    @pytest.mark.parametrize("chunk_size", [2**30, 64])
    def test_one_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_size: int):
        """Flax splits arrays larger than 1 GiB, and stores scalars in three formats."""
        monkeypatch.setattr(serialization, "MAX_CHUNK_SIZE", chunk_size)
        whole = synthetic.checkpoint()
        states = unflatten_dict(whole.optimizer, sep="/")
        for step in (whole.step, np.int32(whole.step), np.array(whole.step, np.int32)):
            state = {"step": step, "param_states": states}
            optimizer = {"target": unflatten_dict(whole.params, sep="/"), "state": state}
            content = serialization.to_bytes({"version": 3, "optimizer": optimizer})
            (tmp_path / "whole").write_bytes(content)
            assert_same(synthetic.read(tmp_path / "whole"), whole)

    @pytest.mark.parametrize("outer", [None, "params"])
    def test_a_bare_tree_of_parameters(self, tmp_path: Path, outer: str | None):
        arrays = synthetic.odd_arrays()
        tree = unflatten_dict(arrays, sep="/")
        content = serialization.to_bytes({outer: tree} if outer else tree)
        (tmp_path / "bare").write_bytes(content)
        assert_same(synthetic.read(tmp_path / "bare"), Checkpoint(0, arrays, {}))

    def test_masked_states_are_not_there(self, folder: Path):
        """T5X's MultiOptimizer stores None for the parameters of another optimiser."""
        tree = manifest(folder)
        tree["optimizer"]["state"]["param_states"]["encoder"]["encoder_norm"]["scale"] = None
        (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(tree))
        expected = synthetic.checkpoint()
        del expected.optimizer["encoder/encoder_norm/scale"]
        assert_same(synthetic.read(folder), expected)


class TestDamage:
    @pytest.mark.parametrize("keep", [0, 3, 10, 100, -9, -8, -4, -1])
    def test_a_truncated_chunk(self, folder: Path, keep: int):
        chunk = folder / EMBEDDING / "2.0"
        chunk.write_bytes(chunk.read_bytes()[:keep])
        with pytest.raises(CheckpointError, match="token_embedder/embedding.*" + str(chunk)):
            synthetic.read(folder)

    def test_a_flipped_bit_in_a_chunk(self, folder: Path):
        chunk = folder / EMBEDDING / "2.0"
        content = bytearray(chunk.read_bytes())
        content[len(content) // 2] ^= 4
        chunk.write_bytes(content)
        with pytest.raises(CheckpointError, match="token_embedder/embedding.*" + str(chunk)):
            synthetic.read(folder)

    def test_a_missing_chunk_is_not_zeros(self, folder: Path):
        chunk = folder / EMBEDDING / "2.0"
        chunk.unlink()
        with pytest.raises(CheckpointError, match=f"{chunk}.*is missing"):
            synthetic.read(folder)

    def test_a_missing_array(self, folder: Path):
        shutil.rmtree(folder / EMBEDDING)
        with pytest.raises(CheckpointError, match=f"{EMBEDDING}/.zarray.*does not exist") as caught:
            synthetic.read(folder)
        assert "tensorstore_spec" not in str(caught.value)

    @pytest.mark.parametrize("field", ["shape", "dtype"])
    def test_metadata_that_disagree(self, folder: Path, field: str):
        fields = zarray(folder / EMBEDDING)
        fields |= {"shape": [32, 6]} if field == "shape" else {"dtype": "<i4"}
        (folder / EMBEDDING / ".zarray").write_text(json.dumps(fields))
        with pytest.raises(CheckpointError, match=f"token_embedder/embedding.*{field}"):
            synthetic.read(folder)

    @pytest.mark.parametrize("keep", [0, 1, 100, 1000, -1])
    def test_a_truncated_msgpack(self, folder: Path, keep: int):
        path = folder / "checkpoint"
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(CheckpointError, match=f"{path} is not flax msgpack"):
            synthetic.read(folder)

    def test_random_damage_to_the_msgpack(self, folder: Path):
        """Any bytes give a checkpoint or a CheckpointError."""
        path = folder / "checkpoint"
        content = path.read_bytes()
        rng = np.random.default_rng(1)
        refused = 0
        for _ in range(300):
            damaged = bytearray(content)
            for position in rng.integers(len(content), size=3):
                damaged[position] = rng.integers(256)
            path.write_bytes(damaged)
            try:
                synthetic.read(folder)
            except CheckpointError:
                refused += 1
        assert refused > 30

    def test_random_damage_to_the_metadata_of_an_array(self, folder: Path):
        """Any bytes give a checkpoint or a CheckpointError."""
        path = folder / EMBEDDING / ".zarray"
        content = path.read_bytes()
        rng = np.random.default_rng(1)
        refused = 0
        for _ in range(40):
            damaged = bytearray(content)
            for position in rng.integers(len(content), size=2):
                damaged[position] = rng.integers(256)
            path.write_bytes(damaged)
            try:
                array = t5x.open_checkpoint(str(folder)).params["token_embedder/embedding"]
                assert array.whole().shape == (33, 6)
            except CheckpointError:
                refused += 1
        assert refused > 20

    def test_a_later_version(self, folder: Path):
        (folder / "checkpoint").write_bytes(
            serialization.msgpack_serialize(manifest(folder) | {"version": 4})
        )
        with pytest.raises(CheckpointError, match="version 4; up to 3"):
            synthetic.read(folder)

    def test_entries_without_a_place_are_all_named(self, folder: Path):
        tree = manifest(folder)
        tree["optimizer"]["flax_mutables"] = {"cache": np.zeros(3, np.float32)}
        states = tree["optimizer"]["state"]["param_states"]
        states["token_embedder"]["embedding"]["momentum"] = np.zeros(3, np.float32)
        tree["optimizer"]["target"]["name"] = "t5"
        (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(tree))
        with pytest.raises(CheckpointError) as caught:
            synthetic.read(folder)
        for name in ("flax_mutables/cache", "embedding/momentum", "optimizer/target/name"):
            assert name in str(caught.value)

    @pytest.mark.parametrize("step", [None, np.zeros(2, np.int32), "three", [1]])
    def test_no_step(self, folder: Path, step: object):
        tree = manifest(folder)
        tree["optimizer"]["state"]["step"] = step
        (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(tree))
        with pytest.raises(CheckpointError, match="no step number at optimizer/state/step"):
            synthetic.read(folder)

    @pytest.mark.parametrize("name", ["nothing", "checkpoint_1", "checkpoint_1/checkpoint"])
    def test_nothing_there(self, tmp_path: Path, name: str):
        (tmp_path / "checkpoint_1").mkdir()
        with pytest.raises(CheckpointError, match="There is no checkpoint at"):
            synthetic.read(tmp_path / name)


class _Payload:
    """Creates a file when it is unpickled."""

    def __reduce__(self):
        return (Path.touch, (Path("unpickled"),))


class TestNoPickle:
    @pytest.fixture(autouse=True)
    def nothing_was_unpickled(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(tmp_path)
        yield
        assert not Path("unpickled").exists()

    def test_a_pickled_file(self, tmp_path: Path):
        np.save("prompt.npy", np.array([_Payload()]), allow_pickle=True)
        with pytest.raises(CheckpointError, match=re.escape(str(tmp_path / "prompt.npy"))):
            synthetic.read(tmp_path / "prompt.npy")

    def test_an_inline_array_of_objects(self, tmp_path: Path):
        import msgpack

        array = msgpack.packb(((1,), "object", np.array([_Payload()]).dumps()))
        (tmp_path / "bare").write_bytes(msgpack.packb({"kernel": msgpack.ExtType(1, array)}))
        with pytest.raises(CheckpointError, match="bare is not flax msgpack"):
            synthetic.read(tmp_path / "bare")

    def test_a_zarr_array_of_objects(self, folder: Path):
        fields = zarray(folder / EMBEDDING)
        fields |= {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}]}
        (folder / EMBEDDING / ".zarray").write_text(json.dumps(fields))
        with pytest.raises(CheckpointError, match="token_embedder/embedding"):
            synthetic.read(folder)
