"""Checkpoints, pointers to them and vocabularies that must be refused."""

import functools
import json
import struct
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from flax import serialization
from safetensors.numpy import save_file

from promptscale.checkpoints import huggingface, t5x
from promptscale.checkpoints.fit import check_vocabulary
from promptscale.checkpoints.pointer import read_pointer
from promptscale.checkpoints.read import check_checkpoint, read_embedding
from promptscale.storage.store import fetch
from tests.checkpoints import synthetic_checkpoints as synthetic
from tests.rights import another_user
from tests.robustness.case import Case

Write = Callable[[Path], object]

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 43\n"
_EMBEDDING = "token_embedder/embedding"
_ZARR = "target.token_embedder.embedding"


def _read(location: str | Path, *, with_optimizer: bool = True) -> None:
    check_checkpoint(str(location), synthetic.SHAPES, with_optimizer=with_optimizer)


def _at(location: str, sentence: str) -> Case:
    """A text that a user gives for a checkpoint's location."""
    return Case(f"checkpoint at {location[:40]!r}", lambda _: _read(location), sentence)


def _files(name: str, contents: Mapping[str, bytes], sentence: str, named: str = "ck") -> Case:
    """A folder of files, of which the user names `named`; a name that ends with / is a folder."""

    def write(folder: Path) -> None:
        (folder / "ck").mkdir()
        for key, content in contents.items():
            path = folder / "ck" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir() if key.endswith("/") else path.write_bytes(content)

    return Case(f"checkpoint: {name}", lambda folder: _read(folder / named), sentence, write)


def _tree(name: str, tree: Any, sentence: str) -> Case:
    """The msgpack file of a checkpoint in T5X's format."""
    return _files(name, {"checkpoint": serialization.msgpack_serialize(tree)}, sentence)


def _changed(name: str, change: Callable[[dict, dict], object], sentence: str) -> Case:
    """A checkpoint in T5X's format with other parameters or accumulators."""

    def write(folder: Path) -> None:
        checkpoint = synthetic.checkpoint()
        change(checkpoint.params, checkpoint.optimizer)
        t5x.write(folder / "ck", checkpoint)

    return Case(f"checkpoint: {name}", lambda folder: _read(folder / "ck"), sentence, write)


@functools.cache
def _whole() -> dict[str, bytes]:
    """The files of a checkpoint in T5X's format."""
    with tempfile.TemporaryDirectory() as folder:
        t5x.write(f"{folder}/ck", synthetic.checkpoint())
        files = [path for path in Path(folder, "ck").rglob("*") if path.is_file()]
        return {str(path.relative_to(f"{folder}/ck")): path.read_bytes() for path in files}


def _damaged(name: str, damage: Write, sentence: str) -> Case:
    """A checkpoint in T5X's format, damaged after it was written."""

    def write(folder: Path) -> None:
        for key, content in _whole().items():
            (folder / "ck" / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / "ck" / key).write_bytes(content)
        damage(folder / "ck")

    return Case(f"checkpoint: {name}", lambda folder: _read(folder / "ck"), sentence, write)


def _tensors(name: str, change: Callable[[dict[str, np.ndarray]], object], sentence: str) -> Case:
    """A Hugging Face checkpoint with other tensors."""

    def write(folder: Path) -> None:
        (folder / "ck").mkdir()
        params, tensors = synthetic.checkpoint().params, {}
        for theirs, ours, transposed in huggingface.TABLE:
            array = params[ours.format(layer=0)]
            tensors[theirs.format(layer=0)] = (array.T if transposed else array).copy()
        change(tensors)
        save_file(tensors, folder / "ck" / "model.safetensors")

    return Case(f"checkpoint: {name}", lambda folder: _read(folder / "ck"), sentence, write)


def _pointer(name: str, content: bytes | None, sentence: str) -> Case:
    def write(folder: Path) -> None:
        if content is not None:
            (folder / "model.json").write_bytes(content)

    return Case(
        f"pointer: {name}", lambda folder: read_pointer(f"{folder}/model.json"), sentence, write
    )


def _refused(folder: Path, use: Write) -> None:
    """Uses a folder as a user who may not read it."""
    folder.chmod(0)
    try:
        with another_user():
            use(folder)
    finally:
        folder.chmod(0o755)


def with_value(array: np.ndarray, index: Any, value: float) -> np.ndarray:
    changed = array.copy()
    changed[index] = value
    return changed


def _scanned(params: dict, optimizer: dict) -> None:
    optimizer.clear()
    for tower in ("encoder", "decoder"):
        for name in [name for name in params if name.startswith(f"{tower}/layers_0/")]:
            params[name.replace("layers_0", tower)] = params.pop(name)[:, None]


def _relu(params: dict, optimizer: dict) -> None:
    optimizer.clear()
    params["encoder/layers_0/mlp/wi/kernel"] = params.pop("encoder/layers_0/mlp/wi_0/kernel")


def _resized(rows: int, width: int = 6) -> Callable[[dict, dict], object]:
    def change(params: dict, optimizer: dict) -> None:
        optimizer.clear()
        params[_EMBEDDING] = np.zeros((rows, width), np.float32)

    return change


def _deeper(params: dict, optimizer: dict) -> None:
    optimizer.clear()
    params |= {f"encoder/layers_{i}/x/scale": np.ones(1, np.float32) for i in range(1, 61)}


def raw_safetensors(dtype: str, size: int) -> bytes:
    header = {"shared.weight": {"dtype": dtype, "shape": [4], "data_offsets": [0, size]}}
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + bytes(size)


def _zarray(**fields: Any) -> Write:
    def damage(folder: Path) -> None:
        path = folder / _ZARR / ".zarray"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return damage


def _cut(path: str, keep: int) -> Write:
    return lambda folder: (folder / path).write_bytes((folder / path).read_bytes()[:keep])


def _set(name: str, index: Any, value: float) -> Callable[[dict, dict], object]:
    return lambda params, _: params.update({name: with_value(params[name], index, value)})


def _optimizer_set(params: dict, optimizer: dict) -> None:
    optimizer[_EMBEDDING]["v_row"] = with_value(optimizer[_EMBEDDING]["v_row"], 3, np.nan)


_NORM = "encoder/encoder_norm/scale"
_LEAF = np.ones(4, np.float32)
_STEP = {"step": np.int32(5), "param_states": {}}
_ADAM = {"step": np.int32(5), "param_states": {"0": {"count": np.int32(5), "mu": {"x": _LEAF}}}}
_HF_INDEX = "model.safetensors.index.json"
_PLACEHOLDER = {"state": {"step": "PLACEHOLDER://state.step"}, "target": "PLACEHOLDER://target"}
_WRONG_MAP = b'{"weight_map": {"shared.weight": 3}}'
_MISSING_SHARD = b'{"weight_map": {"shared.weight": "model-00001-of-00002.safetensors"}}'
_ONES = np.ones((5, 6), np.float32)
_PEFT = {"adapter_config.json": b"{}", "adapter_model.safetensors": b""}

CASES = [
    # Locations
    _at("", "is no location"),
    _at(" models", "has blanks around it"),
    _at("models\n", "control characters"),
    _at("s3://bucket/model", r"s3://bucket/model cannot be read: .*gs://bucket/folder"),
    _at("https://host/model", "cannot be read"),
    _at("gs:/bucket/model", "with two slashes"),
    _at("gs:bucket/model", "with two slashes"),
    _at("GS://bucket/model", "lower-case"),
    _at("gs://My_Bucket/model", "'My_Bucket' should have"),
    _at("gs://", "names no bucket"),
    _at("~no-such-user/model", "home folder of an unknown user"),
    _at("google/t5-v1_1-small", "There is no checkpoint at /.*small: no such file or folder"),
    _at("x" * 300, "File name too long"),
    _at("/no-such-checkpoint", "no such file or folder"),
    _at("/dev/null", "There is no checkpoint at /dev/null"),
    # Folders and files that are something else
    _files("an empty folder", {}, "it is empty"),
    _files("another folder", {"a": b"", "b": b""}, "it holds a, b"),
    _files("many files", {f"{i:02}": b"" for i in range(60)}, "00, 01, 02 and 57 more"),
    _files(
        "a run's folder",
        {"checkpoint_5/x": b"", "checkpoint_1000000/x": b"", "config.gin": b""},
        "folder of a run; name a checkpoint in it, such as checkpoint_1000000",
    ),
    _files("a Trainer's folder", {"checkpoint-500/x": b""}, "such as checkpoint-500"),
    _files("unfinished", {"checkpoint_5.tmp-17/x": b""}, "unfinished write"),
    _files("Orbax", {"manifest.ocdbt": b"", "d/x": b""}, "Orbax checkpoint .* restore it with"),
    _files("Orbax of Flax", {"_CHECKPOINT_METADATA": b"", "default/": b""}, "Orbax checkpoint"),
    _files("Orbax with parts", {"state/": b"", "dataset/": b""}, "Orbax checkpoint"),
    _tree("Orbax in T5X", _PLACEHOLDER, "Orbax checkpoint .*use_orbax=False"),
    _files("PyTorch", {"pytorch_model.bin": b"", "config.json": b"{}"}, "pickled by PyTorch"),
    _files("PyTorch's shards", {"pytorch_model.bin.index.json": b"{}"}, "call `save_pretrained`"),
    _files("a zip file", {"t5.pt": b"PK\x03\x04..."}, "it is a zip archive", "ck/t5.pt"),
    _files("a pickle", {"t5": b"\x80\x04\x95..."}, "Python pickle, which is never", "ck/t5"),
    _files("Flax weights", {"flax_model.msgpack": b""}, "from_flax=True"),
    _files("Keras weights", {"tf_model.h5": b""}, "from_tf=True"),
    _files("TensorFlow", {"model.ckpt-10.index": b""}, r"ckpt-10.index\), which T5X's convert"),
    _files("TensorFlow by prefix", {"model.ckpt-10.index": b""}, "T5X's conv", "ck/model.ckpt-10"),
    _files(
        "TensorFlow's text", {"checkpoint": b'model_checkpoint_path: "m"'}, "TensorFlow checkpoint"
    ),
    _files("a SavedModel", {"saved_model.pb": b""}, "SavedModel"),
    _files("GGUF", {"t5.gguf": b""}, "t5.gguf is a format for inference"),
    _files("the hub's cache", {"snapshots/1/x": b"", "refs/": b""}, "a folder below snapshots/"),
    _files("shards alone", {"model-00001-of-00002.safetensors": b""}, "but not their index"),
    _files("another name", {"t5.safetensors": b""}, "is called model.safetensors"),
    _files("an adapter", _PEFT, "adapter of PEFT .* name the model"),
    _files("a prompt's folder", {"rte.npy": b""}, "rte.npy is a prompt"),
    _files("a pointer of Git LFS", {"model.safetensors": LFS}, "git lfs pull"),
    _files("Git LFS in T5X", {"checkpoint": LFS}, "git lfs pull"),
    _files("a web page", {"checkpoint": b"<!DOCTYPE html>"}, "web page"),
    _files("gzip", {"checkpoint": b"\x1f\x8b\x08"}, "gzip; unpack it"),
    _files("a text", {"notes.txt": b"no checkpoint"}, "not flax msgpack", "ck/notes.txt"),
    _files("below a file", {"file": b""}, "no such file or folder", "ck/file/checkpoint_5"),
    # Hugging Face
    _files("a file by name", {"model.safetensors": b""}, "folder of", "ck/model.safetensors"),
    _files("an empty file", {"model.safetensors": b""}, "model.safetensors is damaged .*empty"),
    _files("a broken index", {_HF_INDEX: b"{"}, "should hold a `weight_map`"),
    _files("an index of numbers", {_HF_INDEX: _WRONG_MAP}, "should hold a `weight_map`"),
    _files("an index in UTF-16", {_HF_INDEX: b"\xff\xfe{"}, "should hold a `weight_map`"),
    _files("a missing shard", {_HF_INDEX: _MISSING_SHARD}, "00001-of-00002.*is missing"),
    _files("float8", {"model.safetensors": raw_safetensors("F8_E4M3", 4)}, "is F8_E4M3 of shape"),
    _tensors("T5 1.0", lambda tensors: tensors.pop("lm_head.weight"), r"as T5 1\.0, and the model"),
    _tensors("int8", lambda t: t.update({"lm_head.weight": np.ones((33, 6), np.int8)}), "is int8"),
    _tensors(
        "two embeddings",
        lambda tensors: tensors.update(
            {"decoder.embed_tokens.weight": tensors["shared.weight"] + 1}
        ),
        "not equal to shared.weight",
    ),
    _tensors(
        "NaN of float16",
        lambda tensors: tensors.update({"shared.weight": np.full((33, 6), np.nan, np.float16)}),
        "198 of the 198 values .* of the array token_embedder/embedding .* are NaN",
    ),
    # Another model
    _tree("BERT", {"params": {"bert": {"pooler": {"kernel": _LEAF}}}}, "no array of T5 1.1"),
    _tree("no arrays", {"params": {}}, "no array of T5 1.1"),
    _tree(
        "Flax of transformers",
        {"encoder": {"block": {"0": {"SelfAttention": {"q": {"kernel": _LEAF}}}}}},
        "transformers' Flax",
    ),
    _changed("scanned layers", _scanned, "layers are scanned .* axis of layers"),
    _changed("T5 1.0 of T5X", _relu, r"it is a T5 1\.0 \(MLP with ReLU"),
    _changed("mT5", _resized(250_112), "250112 ids is mT5's"),
    _changed("32100 rows", _resized(32_100), "`vocab_size` is 32100; .*`architectures`"),
    _changed("another size", _resized(33, 8), "d_model is 8, so it is of another size"),
    _changed("more layers", _deeper, r"60 are unknown \(.* and 57 more\)"),
    _changed(
        "prompt tuning",
        lambda params, _: params.update({"encoder/prompt/prompt/prompt": _ONES}),
        "holds a prompt and the model",
    ),
    _changed("integers", lambda p, _: p.update({_NORM: np.ones(6, int)}), "is int64"),
    # Damage
    _damaged("a cut msgpack", _cut("checkpoint", 100), "not flax msgpack .*truncated or damaged"),
    _damaged("an empty msgpack", _cut("checkpoint", 0), "it is empty"),
    _damaged("a cut chunk", _cut(f"{_ZARR}/0.0", 20), "embedding .* cannot be read"),
    _damaged("a missing chunk", lambda f: (f / _ZARR / "0.0").unlink(), "0.0.* is missing"),
    _damaged("no metadata", lambda f: (f / _ZARR / ".zarray").unlink(), ".zarray.* does not exist"),
    _damaged("cut metadata", _cut(f"{_ZARR}/.zarray", 20), ".zarray.*Invalid JSON"),
    _damaged("another shape", _zarray(shape=[32, 6]), r'Expected "shape" of \[33,6\]'),
    _damaged("another type", _zarray(dtype="<i4"), "token_embedder/embedding.*dtype"),
    _damaged("another zarr", _zarray(zarr_format=3), "zarr_format"),
    _damaged("an unknown codec", _zarray(compressor={"id": "lzma"}), "compressor"),
    _tree("a later version", {"version": 4, "optimizer": {}}, "version 4; up to 3"),
    _tree("no step", {"optimizer": {"target": {}, "state": {}}}, "no step number"),
    _tree("Adam", {"optimizer": {"target": {}, "state": _ADAM}}, "`restore_accumulators` is false"),
    _tree("a list", [1, 2], "not flax msgpack"),
    _tree("names that are numbers", {"params": {3: {"x": _LEAF}}}, "msgpack"),
    _files("two trees", {"checkpoint": msgpack.packb({}) * 2}, "not flax msgpack"),
    # Values
    _changed("NaN", _set(_NORM, 2, np.nan), f"1 of the 6 values .* {_NORM} .* are NaN"),
    _changed("infinity", _set(_EMBEDDING, (3, 1), np.inf), "1 of the 198 .* beyond the range"),
    _changed(
        "beyond float32",
        lambda params, _: params.update({_NORM: np.full(6, 1e300)}),
        "6 of the 6 values .* beyond the range of float32",
    ),
    _changed("NaN in an accumulator", _optimizer_set, "embedding/v_row .* are NaN"),
    # What the system refuses
    Case(
        "checkpoint: no rights",
        lambda folder: _refused(folder / "ck", _read),
        "cannot be read: Permission denied",
        lambda folder: t5x.write(folder / "ck", synthetic.checkpoint()),
    ),
    Case(
        "checkpoint: a loop of links",
        lambda folder: _read(folder / "loop"),
        "Too many levels of symbolic links",
        lambda folder: (folder / "loop").symlink_to(folder / "loop"),
    ),
    Case(
        "checkpoint: written over a file",
        lambda folder: t5x.write(folder / "ck", synthetic.checkpoint()),
        "The folder /.*/ck cannot be written: Not a directory",
        lambda folder: (folder / "ck").write_bytes(b"a file"),
    ),
    Case(
        "checkpoint: no embedding",
        lambda folder: read_embedding(str(folder / "ck")),
        "has no token_embedder/embedding",
        lambda folder: t5x.write(folder / "ck", t5x.Checkpoint(0, {}, {})),
    ),
    # Pointers
    _pointer("missing", None, "model.json cannot be read: No such file"),
    _pointer("empty", b"", "delete it and Snakemake makes it"),
    _pointer("cut", b'{"loc', "delete it and Snakemake makes it"),
    _pointer("of a number", b'{"location": 3}', "delete it and Snakemake makes it"),
    _pointer("a list", b"[]", "delete it and Snakemake makes it"),
    _pointer("in Latin-1", b'{"location": "\xfc"}', "delete it and Snakemake makes it"),
    _pointer("to nothing", b'{"location": "gone"}', "gone, which .* names, is gone; put it back"),
    # Vocabularies and other files
    Case(
        "vocabulary larger than the embedding",
        lambda _: check_vocabulary(Path("spiece.model"), 34, synthetic.ARCHITECTURE),
        "spiece.model has 34 ids .* has 33 rows",
    ),
    Case("file to fetch: missing", lambda f: fetch(str(f / "a"), f / "b"), "There is no file /"),
    Case("file to fetch: a bucket", lambda f: fetch("gs://bucket", f / "b"), "is a bucket"),
]
