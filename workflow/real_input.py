"""What `make real` needs besides published files: python workflow/real_input.py SHARED FOLDER.

SHARED/data holds a real T5 1.1 Small, packed in int8, and XQuAD, 1,190 questions of SQuAD v1.1.
FOLDER gets the model as a Hugging Face checkpoint, and XQuAD's articles in two parts, to train and
to evaluate.
"""

import json
import subprocess
import sys
from pathlib import Path

from promptscale.storage.atomic import atomic_write

TRAINING_ARTICLES = 35  # of 48; they have 901 questions, the others 289


def _articles(path: Path) -> list[object]:
    """The articles of a file of SQuAD v1.1."""
    try:
        articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    except (ValueError, KeyError, TypeError):
        articles = None
    if not isinstance(articles, list) or len(articles) <= TRAINING_ARTICLES:
        sys.exit(
            f"{path} is not a JSON file of SQuAD v1.1 whose `data` has more than"
            f" {TRAINING_ARTICLES} articles; it should be XQuAD's English file."
        )
    return articles


def prepare(shared: Path, folder: Path) -> None:
    """Writes `t5_small`, `squad-train.json` and `squad-validation.json`; what is there stays."""
    packed, questions = shared / "data/t5_small_flan", shared / "data/squad/xquad.en.json"
    for path in (packed, questions):
        if not path.exists():
            sys.exit(f"{path} is missing; give the folder of the shared files as SHARED=<folder>.")
    articles = _articles(questions)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "t5_small/config.json").exists():  # the unpacking writes it last
        unpack = [sys.executable, packed / "unpack.py", folder / "t5_small"]
        if subprocess.run(unpack, check=False).returncode != 0:
            sys.exit(f"{packed / 'unpack.py'} failed; its error is above.")
    parts = {"train": articles[:TRAINING_ARTICLES], "validation": articles[TRAINING_ARTICLES:]}
    for split, part in parts.items():
        path = folder / f"squad-{split}.json"
        if not path.exists():
            with atomic_write(path) as partial:
                partial.write_text(json.dumps({"version": "1.1", "data": part}), encoding="utf-8")


if __name__ == "__main__":
    prepare(*map(Path, sys.argv[1:]))
