"""Trains the miniature's SentencePiece vocabulary, in T5's layout."""

import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import sentencepiece

from promptscale.storage.atomic import atomic_write

# With T5's 100 extra ids this fills the 512 rows of the miniature models' embeddings at most.
MAX_PIECES = 412
_SPACE = "▁"


def train(sentences: Sequence[str], path: Path) -> None:
    """Writes a unigram model to `path`: pad 0, EOS 1, unknown 2, then pieces from frequent to rare.

    The language is closed and small, so the words themselves are the candidate pieces (left alone,
    SentencePiece would cut them up); single characters stand by for words that are not in it. The
    same sentences give the same file. It appears whole or not at all.
    """
    words = Counter(word for sentence in sentences for word in _words(sentence))
    with (
        atomic_write(path) as partial,
        tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as seeds,
    ):
        seeds.writelines(f"{word}\t{count}\n" for word, count in words.most_common())
        seeds.flush()
        with partial.open("wb") as file:
            sentencepiece.SentencePieceTrainer.Train(
                sentence_iterator=iter(sentences),
                model_writer=file,
                model_type="unigram",
                vocab_size=MAX_PIECES,
                hard_vocab_limit=False,
                seed_sentencepieces_file=seeds.name,
                character_coverage=1.0,
                pad_id=0,
                eos_id=1,
                unk_id=2,
                bos_id=-1,
                split_by_number=False,
                split_by_unicode_script=False,
                num_threads=1,
                minloglevel=2,
            )


def _words(sentence: str) -> list[str]:
    """Words and punctuation, those that follow a space marked as SentencePiece marks them."""
    marked = _SPACE + sentence.replace(" ", _SPACE)
    return re.findall(rf"{_SPACE}?(?:@?\w+|[^\w{_SPACE}])", marked)
