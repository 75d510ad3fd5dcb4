"""Prepared splits, shards of a corpus and vocabularies that must be refused."""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from promptscale.data import prepared
from promptscale.data.corpus import read_text
from promptscale.data.objectives import PrefixLM, SpanCorruption
from promptscale.data.vocabulary import Vocabulary
from tests import tiny
from tests.robustness.case import Case
from tests.robustness.data import WEB_PAGE, json_lines, writes


def _split(what: str, sentence: str, **arrays: np.ndarray) -> Case:
    """A prepared split of two examples with other arrays."""

    def write(folder: Path) -> None:
        ids, offsets = np.array([5, 6], np.uint16), np.array([0, 1, 2])
        right = {"inputs": ids, "targets": ids}
        right |= {"inputs_offsets": offsets, "targets_offsets": offsets}
        save_file(right | arrays, folder / "train.safetensors")

    return Case(
        f"split: {what}", lambda folder: prepared.read(folder / "train", 10), sentence, write
    )


def _rows(what: str, line: bytes, sentence: str) -> Case:
    """A prepared split of two examples whose second row is this line."""

    def write(folder: Path) -> None:
        packed = prepared.Ragged.pack([[5], [6]])
        row = {"id": "0", "inputs": "a", "targets": "b", "label": 0}
        prepared.write(folder / "train", packed, packed, [row, row])
        (folder / "train.jsonl").write_bytes(json_lines(row) + line)

    return Case(
        f"rows: {what}", lambda folder: prepared.read(folder / "train").rows(), sentence, write
    )


def _shard(what: str, change: Callable[[bytes], bytes], sentence: str) -> Case:
    """A shard of a corpus whose bytes are changed."""

    def write(folder: Path) -> None:
        arrays = {"tokens": np.array([5, 6], np.uint16), "offsets": np.array([0, 1, 2])}
        save_file(arrays, folder / "shard")
        (folder / "shard").write_bytes(change((folder / "shard").read_bytes()))

    return Case(f"shard: {what}", lambda folder: read_text(str(folder / "shard")), sentence, write)


@functools.cache
def _model() -> bytes:
    """A vocabulary in T5's layout."""
    with tempfile.TemporaryDirectory() as folder:
        return tiny.write_vocabulary(Path(folder)).read_bytes()


def _vocabulary(what: str, content: Callable[[], bytes | None], sentence: str) -> Case:
    """A vocabulary file with this content (None: no file)."""

    def write(folder: Path) -> None:
        writes("vocabulary", content())(folder)

    return Case(
        f"vocabulary: {what}", lambda folder: Vocabulary(folder / "vocabulary"), sentence, write
    )


def _other_model(change: Callable[[ModelProto], object]) -> Callable[[], bytes]:
    """The content of a vocabulary that differs from T5's layout."""

    def content() -> bytes:
        model = ModelProto.FromString(_model())
        change(model)
        return model.SerializeToString()

    return content


def _has_other_ids(model: ModelProto) -> None:
    pieces = [model.pieces[i] for i in (2, 0, 1)]  # unknown 0, padding 1, EOS 2
    copies = [type(piece).FromString(piece.SerializeToString()) for piece in pieces]
    for place, piece in enumerate(copies):
        model.pieces[place].CopyFrom(piece)
    model.trainer_spec.unk_id, model.trainer_spec.pad_id, model.trainer_spec.eos_id = 0, 1, 2


def _encodes(text: str) -> Callable[[Path], object]:
    return lambda folder: Vocabulary(folder / "vocabulary").encode(text)


_IDS, _OFFSETS = np.array([5, 6], np.uint16), np.array([0, 1, 2])
_STREAM = {"inputs_length": 16, "seed": 0, "batch_size": 4}
_DOCUMENTS = prepared.Ragged.pack([range(3, 21)])

CASES = [
    # Prepared splits and shards.
    Case(
        "split: missing", lambda folder: prepared.read(folder / "train"), "is missing; prepare it"
    ),
    Case(
        "split: a folder",
        lambda folder: prepared.read(folder / "train"),
        "cannot be read: Is a directory",
        lambda folder: (folder / "train.safetensors").mkdir(),
    ),
    _split("ids as floats", "is damaged", inputs=np.ones(2, np.float32)),
    _split("ids as a table", "is damaged", inputs=np.ones((2, 1), np.uint16)),
    _split("signed ids", "is damaged", inputs=np.ones(2, np.int64)),
    _split("offsets beyond the ids", "is damaged", inputs_offsets=np.array([0, 1, 3])),
    _split("offsets that stop early", "is damaged", targets_offsets=np.array([0, 1, 1])),
    _split("falling offsets", "is damaged", targets_offsets=np.array([0, 3, 2])),
    _split("negative offsets", "is damaged", targets_offsets=np.array([-1, 1, 2])),
    _split("fewer targets", "2 inputs and 1 targets", targets_offsets=np.array([0, 2])),
    _split("id beyond the embedding", "token id 10, but .* 10 rows", inputs=_IDS * 2 - 2),
    _split(
        "no examples",
        "has no examples",
        inputs=_IDS[:0],
        targets=_IDS[:0],
        inputs_offsets=_OFFSETS[:1],
        targets_offsets=_OFFSETS[:1],
    ),
    _rows("not JSON", b"{", r"train\.jsonl, line 2: the text is not JSON"),
    _rows("not UTF-8", b"\xff\n", "line 2: the text is not UTF-8"),
    _rows("a list", b"[]\n", "line 2: the text is not a JSON object"),
    _rows("no id", b'{"inputs": "a", "targets": "b"}\n', "line 2: the field 'id' is not a text"),
    _rows(
        "no label",
        b'{"id": "x", "inputs": "a", "targets": "b"}\n',
        "the example x has neither a label nor answers",
    ),
    _rows("too few", b"", "has 1 rows but its token file has 2 examples"),
    _shard("cut off", lambda content: content[:-1], "is damaged"),
    _shard("empty", lambda content: b"", "is damaged"),
    _shard("no header", lambda content: b"\xff" * 100, "is damaged"),
    _shard("other names", lambda content: content.replace(b"tokens", b"tokenz"), "is damaged"),
    _shard("other type", lambda content: content.replace(b'"U16"', b'"F16"'), "is damaged"),
    Case(
        "shard: no text",
        lambda folder: PrefixLM([prepared.Ragged.pack([[], []])], **_STREAM),
        "There is no text to train on",
    ),
    Case(
        "shard: id beyond the embedding",
        lambda folder: PrefixLM([_DOCUMENTS], **_STREAM, vocab_size=20).batch(0),
        "The prepared corpus has the token id 20, but the model's embedding has only 20 rows",
    ),
    Case(
        "shard: more spans than sentinels",
        lambda folder: SpanCorruption(
            [_DOCUMENTS], **_STREAM | {"inputs_length": 2048}, vocabulary_size=200
        ),
        "Inputs of 2048 tokens have 11. spans of noise, but the vocabulary has 100 sentinels",
    ),
    # Vocabularies.
    _vocabulary("missing", lambda: None, "is missing; give a SentencePiece model file"),
    _vocabulary("empty", lambda: b"", "is not a complete SentencePiece model"),
    _vocabulary("cut off", lambda: _model()[:-3], "is not a complete SentencePiece model"),
    _vocabulary("half", lambda: _model()[: len(_model()) // 2], "is not a complete SentencePiece"),
    _vocabulary("a web page", lambda: WEB_PAGE, "is not a complete SentencePiece model"),
    _vocabulary(
        "tokenizer.json", lambda: b'{"version": "1.0"}', "`tokenizer.json` of Hugging Face"
    ),
    _vocabulary("a list of pieces", lambda: b"<pad>\t0\n</s>\t0\n", "is not a complete"),
    _vocabulary("other ids", _other_model(_has_other_ids), "has the id 1 for padding"),
    _vocabulary(
        "no end of sequence",
        _other_model(lambda model: setattr(model.pieces[1], "piece", "<end>")),
        "the id -1 for end of sequence",
    ),
    _vocabulary(
        "sentinels among the pieces",
        _other_model(lambda model: model.pieces.add(piece="<extra_id_0>", score=-9.0)),
        "has T5's sentinels, such as <extra_id_0>, among its pieces",
    ),
    Case(
        "vocabulary: a folder",
        lambda folder: Vocabulary(folder),
        "is a folder; give a SentencePiece model file",
    ),
    Case(
        "vocabulary: half a surrogate pair in a text",
        _encodes("ab\ud83d"),
        "Character 3 of the text .* is half of a surrogate pair",
        lambda folder: writes("vocabulary", _model())(folder),
    ),
]
