"""The SentencePiece vocabulary with T5's extra ids, without TensorFlow."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import SupportsInt

import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from promptscale.errors import DataError
from promptscale.storage.reasons import reason

PAD_ID = 0
EOS_ID = 1
UNK_ID = 2
EXTRA_IDS = 100  # T5's sentinels
_SPECIAL = {PAD_ID: "padding", EOS_ID: "end of sequence", UNK_ID: "unknown token"}


def _read_pieces(path: Path) -> sentencepiece.SentencePieceProcessor:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is missing"
        raise DataError(f"The vocabulary {path} {what}; give a SentencePiece model file.")
    pieces = sentencepiece.SentencePieceProcessor()
    try:
        content = path.read_bytes()
        pieces.LoadFromSerializedProto(content)
        # The specifications are the end of a file: SentencePiece loads a file without them.
        model = ModelProto.FromString(content)
        complete = model.HasField("trainer_spec") and model.HasField("normalizer_spec")
    except OSError as error:
        raise DataError(f"The vocabulary {path} cannot be read: {reason(error)}.") from error
    except RuntimeError:
        complete = False
    if not complete:
        text = content.lstrip().startswith(b"{")
        hint = " (a `tokenizer.json` of Hugging Face cannot be used)" if text else ""
        raise DataError(
            f"The vocabulary {path} is not a complete SentencePiece model{hint}; give T5's file "
            "`sentencepiece.model`, which Hugging Face calls `spiece.model`."
        )
    ids = (pieces.pad_id(), pieces.eos_id(), pieces.unk_id())
    for (right, name), actual in zip(_SPECIAL.items(), ids, strict=True):
        if actual != right:
            raise DataError(
                f"The vocabulary {path} has the id {actual} for {name} (-1: none) where T5's has "
                f"{right}; give a vocabulary in T5's layout."
            )
    if pieces.PieceToId("<extra_id_0>") != UNK_ID:
        raise DataError(
            f"The vocabulary {path} has T5's sentinels, such as <extra_id_0>, among its pieces; "
            "give the file without them (T5's has 32000 pieces), as they are added here."
        )
    return pieces


class Vocabulary:
    """A SentencePiece model and T5's sentinels.

    The sentinels have the last ids: `<extra_id_0>` is `size - 1`, `<extra_id_1>` is `size - 2`,
    and so on, as in the T5 library (`seqio.SentencePieceVocabulary`).
    """

    def __init__(self, path: Path, extra_ids: int = EXTRA_IDS) -> None:
        """Reads the model file.

        Raises:
          DataError: the file is missing or is not a SentencePiece model in T5's layout.
        """
        self._pieces = _read_pieces(path)
        self.path = path
        self.extra_ids = extra_ids
        self.num_pieces: int = self._pieces.GetPieceSize()  # without the extra ids
        self.size = self.num_pieces + extra_ids  # an embedding table may have more rows

    def sentinel(self, index: int) -> int:
        """The id of `<extra_id_{index}>`."""
        return self.size - 1 - index

    def piece(self, token: int) -> str:
        """The text of a single id, with SentencePiece's `▁` for a space."""
        if self.num_pieces <= token < self.size:
            return f"<extra_id_{self.size - 1 - token}>"
        return self._pieces.IdToPiece(int(token)) if token < self.size else f"<unused {token}>"

    def encode(self, text: str) -> list[int]:
        """Token ids of `text` without EOS; sentinels in the text are encoded as characters.

        Raises:
          DataError: the text has half of a surrogate pair, which is no character.
        """
        try:
            return self._pieces.EncodeAsIds(text)
        except RuntimeError as error:
            half = re.search("[\ud800-\udfff]", text)
            if half is None:
                raise
            raise DataError(
                f"Character {half.start() + 1} of the text {text[:40]!a} is half of a "
                "surrogate pair, which is no character; write both halves or neither."
            ) from error

    def decode(self, tokens: Iterable[SupportsInt]) -> str:
        """The text up to the first EOS, without padding, as seqio decodes it.

        Ids outside the vocabulary become unknown, and sentinels `<extra_id_N>` between spaces.
        """
        parts: list[str] = []
        run: list[int] = []
        for token in map(int, tokens):
            if token == EOS_ID:
                break
            if token == PAD_ID:
                continue
            if self.num_pieces <= token < self.size:
                parts += [self._pieces.DecodeIds(run), self.piece(token)]
                run = []
            else:
                run.append(token if token < self.num_pieces else UNK_ID)
        parts.append(self._pieces.DecodeIds(run))
        return " ".join(part for part in parts if part)
