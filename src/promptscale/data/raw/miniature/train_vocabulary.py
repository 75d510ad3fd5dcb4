"""Training of the miniature's SentencePiece vocabulary, in T5's layout."""

import io
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from promptscale.storage.atomic import atomic_write

# With T5's 100 extra ids these are at most 512, the embedding rows of the miniature models.
MAX_PIECES = 412
_SPACE = "▁"


def train_vocabulary(sentences: Sequence[str], path: Path) -> None:
    """Writes a unigram model to `path`: pad 0, EOS 1, unknown 2, then pieces from frequent to rare.

    The language is closed and small, so its words are given as candidate pieces; without them
    SentencePiece would split words. Single characters encode words outside the language. The same
    sentences give the same bytes. The file is written atomically.
    """
    words = Counter(word for sentence in sentences for word in _words(sentence))
    with (
        atomic_write(path) as partial,
        tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as seeds,
    ):
        seeds.writelines(f"{word}\t{count}\n" for word, count in words.most_common())
        seeds.flush()
        trained = io.BytesIO()
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(sentences),
            model_writer=trained,
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
        # The model names its temporary file of seeds, which differs from run to run.
        model = ModelProto.FromString(trained.getvalue())
        model.trainer_spec.ClearField("seed_sentencepieces_file")
        partial.write_bytes(model.SerializeToString(deterministic=True))


def _words(sentence: str) -> list[str]:
    """Words and punctuation, marked with `▁` where they follow a space."""
    marked = _SPACE + sentence.replace(" ", _SPACE)
    return re.findall(rf"{_SPACE}?(?:@?\w+|[^\w{_SPACE}])", marked)
