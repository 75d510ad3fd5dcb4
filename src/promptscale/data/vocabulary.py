"""The SentencePiece vocabulary with T5's extra ids, without TensorFlow."""

from collections.abc import Iterable
from pathlib import Path
from typing import SupportsInt

import sentencepiece

from promptscale.errors import DataError

PAD_ID = 0
EOS_ID = 1
UNK_ID = 2


class Vocabulary:
    """A SentencePiece model and T5's sentinels.

    The sentinels have the last ids: `<extra_id_0>` is `size - 1`, `<extra_id_1>` is `size - 2`,
    and so on, as in the T5 library (`seqio.SentencePieceVocabulary`).
    """

    def __init__(self, path: Path, extra_ids: int = 100) -> None:
        """Reads the model file.

        Raises:
          DataError: the file is missing or is not a SentencePiece model.
        """
        if not path.is_file():
            raise DataError(f"The vocabulary {path} is missing; give a SentencePiece model file.")
        self._pieces = sentencepiece.SentencePieceProcessor()
        try:
            self._pieces.LoadFromFile(str(path))
        except (RuntimeError, OSError) as error:
            raise DataError(f"{path} is not a SentencePiece model file.") from error
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
        """Token ids of `text` without EOS; sentinels in the text are encoded as characters."""
        return self._pieces.EncodeAsIds(text)

    def decode(self, tokens: Iterable[SupportsInt]) -> str:
        """The text up to the first EOS or padding, as seqio decodes it.

        Ids outside the vocabulary become unknown, and sentinels `<extra_id_N>` between spaces.
        """
        parts: list[str] = []
        run: list[int] = []
        for token in map(int, tokens):
            if token in (EOS_ID, PAD_ID):
                break
            if self.num_pieces <= token < self.size:
                parts += [self._pieces.DecodeIds(run), self.piece(token)]
                run = []
            else:
                run.append(token if token < self.num_pieces else UNK_ID)
        parts.append(self._pieces.DecodeIds(run))
        return " ".join(part for part in parts if part)
