"""The packaged lengths of examples equal those of the real data, prepared with T5's vocabulary.

`python -m tests.data.test_lengths` prints the lengths that `config/lengths.yaml` holds.
"""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from promptscale.config import lengths as table
from promptscale.config.lengths import Lengths, lengths
from promptscale.config.schema import Data
from promptscale.config.tasks import TASKS
from promptscale.data import prepared
from promptscale.data.raw.miniature.datasets import Sizes
from promptscale.data.raw.miniature.generate import generate
from promptscale.data.raw.prepare_tasks import prepare
from promptscale.data.vocabulary import Vocabulary
from promptscale.errors import ConfigError

# The splits that are measured, and the files of those whose published files are not at hand.
FILES = {
    "boolq/validation": "",
    "cb/train": "",
    "cb/validation": "",
    "copa/train": "",
    "copa/validation": "",
    "multirc/train": "",
    "multirc/validation": "",
    "record/train": "superglue/ReCoRD/fewglue_train32.jsonl superglue/ReCoRD/fewglue_dev32.jsonl",
    "rte/train": "",
    "rte/validation": "",
    "wic/train": "",
    "wic/validation": "",
    "wsc/train": "",
    "wsc/validation": "",
    "mrpc/train": "glue/MRPC/train_3667.tsv",
    "mrpc/validation": "glue/MRPC/dev.tsv",
    "sst2/train": "glue/SST-2/train_sentences_6227.tsv",
    "sst2/validation": "glue/SST-2/dev.tsv",
    "qqp/train": "glue/QQP/train_8999.tsv",
    "squad/validation": "squad/xquad.en.json",
    "dpr/train": "dpr/train.c.txt",
}
C4 = "c4/c4_en_3.0.1_minimal_train.jsonl"


def parts(tokens: np.ndarray, count: int) -> list[float]:
    """The mean of each of `count` equal parts of the sorted numbers; a number may be divided."""
    total = np.concatenate([[0], np.cumsum(np.sort(tokens))])
    edges = np.linspace(0, len(tokens), count + 1)
    means = np.diff(np.interp(edges, np.arange(len(total)), total)) * count / len(tokens)
    return [round(float(mean), 1) for mean in means]


def measured(examples: list[prepared.Examples]) -> dict[str, object]:
    """The lengths of prepared examples, with EOS, as the table writes them."""
    inputs, targets = (
        np.concatenate([getattr(split, field).lengths for split in examples]) + 1
        for field in ("inputs", "targets")
    )
    return {
        "inputs": parts(inputs, 16),
        "target": round(float(targets.mean()), 2),
        "longest_target": int(targets.max()),
    }


def real_lengths(name: str, data: Path, folder: Path) -> dict[str, object]:
    """The lengths of a split of the folder of real data."""
    task, split = name.split("/")
    splits = []
    for number, file in enumerate(FILES[name].split() or [""]):
        source = Data(
            data_dir=str(folder / "tfds"),
            local_files=str(data),
            substitutes={name: file} if file else {},
        )
        prefix = folder / f"{task}_{split}_{number}"
        prepare(TASKS[task], split, source, Vocabulary(_vocabulary(data)), prefix)
        splits.append(prepared.read(prefix))
    return measured(splits)


def generated_lengths(split: str, world: Path, folder: Path) -> dict[str, object]:
    """The lengths of a split of all tasks of the generated data together."""
    source = Data(data_dir=str(world / "tfds"), generated=True)
    splits = []
    for task in TASKS.values():
        if split in task.splits:
            prefix = folder / f"{task.name}_{split}"
            prepare(task, split, source, Vocabulary(world / "vocabulary"), prefix)
            splits.append(prepared.read(prefix))
    return measured(splits)


def documents(data: Path) -> np.ndarray:
    """The lengths of C4's documents at hand, without EOS."""
    vocabulary = Vocabulary(_vocabulary(data))
    lines = (data / C4).read_text(encoding="utf-8").splitlines()
    return np.array([len(vocabulary.encode(json.loads(line)["text"])) for line in lines])


def _vocabulary(data: Path) -> Path:
    return data / "prompt-tuning/test_data/t5_vocab"


def _world(folder: Path) -> Path:
    sizes = Sizes(train=500, evaluation=500, corpus_train=10, corpus_validation=10)
    generate(folder / "tfds", folder / "vocabulary", seed=0, sizes=sizes)
    return folder


def same(packaged: Lengths, counted: dict[str, object]) -> None:
    """The table has these lengths."""
    assert json.loads(packaged.model_dump_json(include=set(counted))) == counted


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_lengths_are_those_of_the_real_data(name: str, shared: Path, tmp_path: Path):
    same(lengths(*name.split("/")), real_lengths(name, shared / "data", tmp_path))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _world(tmp_path_factory.mktemp("world"))


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "validation"])
def test_lengths_are_those_of_the_generated_data(split: str, world: Path, tmp_path: Path):
    same(lengths("generated", split), generated_lengths(split, world, tmp_path))


def test_segments_are_those_of_the_corpus(shared: Path):
    """Shares and lengths of 64 parts of the documents against those of every document."""
    tokens = documents(shared / "data")
    assert parts(tokens, 64) == list(table.documents())
    whole, rest = np.divmod(tokens, 511)
    every = np.concatenate([np.full(whole.sum(), 511), rest[rest > 0]])
    lengths_of_parts, shares = map(np.array, zip(*table.segments(511.0).items(), strict=True))
    for power in (1, 2):
        expected = float(np.mean(every.astype(float) ** power))
        assert float(shares @ lengths_of_parts**power) == pytest.approx(expected, rel=0.01)


def test_documents_are_cut_into_segments(monkeypatch: pytest.MonkeyPatch):
    """Documents of 100, 511, and 1,122 tokens."""
    monkeypatch.setattr(table, "documents", lambda: (100.0, 511.0, 1122.0))
    assert table.segments(511.0) == {100.0: 0.4, 511.0: 0.6}


def test_every_split_has_lengths():
    for task in TASKS.values():
        for split in task.splits:
            packaged = lengths(task.name, split)
            assert packaged.examples <= 1.5 * task.rows[split]
            assert list(packaged.inputs) == sorted(packaged.inputs)
            assert packaged.target <= packaged.longest_target


def test_a_split_without_lengths_is_named():
    with pytest.raises(ConfigError, match=r"lengths.yaml has no lengths of boolq/test"):
        lengths("boolq", "test")


if __name__ == "__main__":
    shared_data = Path(os.environ["PROMPTSCALE_SHARED"], "data")
    scratch = Path(tempfile.mkdtemp())
    for split_name in FILES:
        print(split_name, real_lengths(split_name, shared_data, scratch))
    (scratch / "world").mkdir()
    made = _world(scratch / "world")
    for split_name in ("train", "validation"):
        print("generated", split_name, generated_lengths(split_name, made, scratch))
    print("c4", parts(documents(shared_data), 64))
