"""The miniature world: TFDS and the T5 library read it, and its tasks have no shortcut."""

import collections

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from promptscale.config.schema import Data
from promptscale.config.tasks import TASKS
from promptscale.data import prepared
from promptscale.data.raw.miniature.datasets import DATASETS, Sizes, split_rows
from promptscale.data.raw.miniature.generate import generate
from promptscale.data.raw.miniature.train_vocabulary import train_vocabulary
from promptscale.data.raw.prepare_tasks import prepare
from promptscale.data.vocabulary import UNK_ID, Vocabulary
from promptscale.evaluation.metrics import majority_score

SIZES = Sizes(train=1200, evaluation=500, corpus_train=300, corpus_validation=10)
# The question in the inputs; the text before or after it is the passage.
QUESTIONS = {
    "boolq": lambda text: text.split("question: ")[1],
    "cb": lambda text: text.split("premise: ")[0],
    "rte": lambda text: text.split("premise: ")[0],
    "multirc": lambda text: text.split("paragraph: ")[0],
    "wic": lambda text: text.split("sentence2: ")[1],
}


def test_the_same_sentences_give_the_same_vocabulary_file(tmp_path):
    for name in ("a", "b"):
        train_vocabulary(["The red car is fast .", "Is the car red ?"] * 20, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The generated world, and a function that prepares a split of a task from it."""
    folder = tmp_path_factory.mktemp("world")
    generate(folder / "tfds", folder / "vocabulary.model", seed=0, sizes=SIZES)
    source = Data(data_dir=str(folder / "tfds"), generated=True)
    vocabulary = Vocabulary(folder / "vocabulary.model")

    def split(task: str, name: str) -> prepared.Examples:
        prefix = folder / task / name
        if not prefix.with_suffix(".safetensors").exists():
            prepare(TASKS[task], name, source, vocabulary, prefix)
        return prepared.read(prefix)

    return vocabulary, split


@pytest.mark.parametrize("task", TASKS)
def test_every_dataset_is_complete_and_short(world, task):
    vocabulary, split = world
    examples = split(task, "validation")
    assert vocabulary.size <= 512 and len(examples) >= 500
    assert UNK_ID not in examples.inputs.ids and UNK_ID not in examples.targets.ids
    assert examples.inputs.lengths.max() < 64
    rows = examples.rows()
    assert not TASKS[task].prefix or not any(row["inputs"].startswith(f"{task} ") for row in rows)
    if TASKS[task].kind in ("qa", "record"):
        assert all(row["targets"] in row["inputs"] for row in rows)


@pytest.mark.parametrize("task", QUESTIONS)
def test_the_question_alone_does_not_give_the_answer(world, task):
    """A bag-of-words classifier on the question stays near the majority class."""
    _, split = world
    train, validation = split(task, "train").rows(), split(task, "validation").rows()
    model = make_pipeline(CountVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=500))
    ask = QUESTIONS[task]
    model.fit([ask(row["inputs"]) for row in train], [row["targets"] for row in train])
    targets = [row["targets"] for row in validation]
    guessed = model.score([ask(row["inputs"]) for row in validation], targets)
    majority = collections.Counter(targets).most_common(1)[0][1] / len(targets)
    assert guessed < majority + 0.08


@pytest.mark.parametrize("task", ["boolq", "copa", "wic", "wsc"])
def test_the_majority_answer_is_no_good(world, task):
    _, split = world
    assert majority_score(TASKS[task], split(task, "validation").rows())["score"] < 60


def test_shifted_domains_share_less_and_less_with_squad(world):
    """The words of MRQA's domains that SQuAD's passages lack: few in RE, most in BioASQ."""
    _, split = world

    def words(task: str, name: str) -> set[str]:
        return {word for row in split(task, name).rows() for word in row["inputs"].split()}

    known = words("squad", "train")
    new = {task: len(words(task, "validation") - known) for task in ("re", "race", "bioasq")}
    assert new["re"] <= new["race"] < new["bioasq"]


def test_rows_depend_on_the_seed_alone():
    for dataset in DATASETS:
        for split in dataset.splits:
            first, again, other = (
                list(split_rows(dataset, split, Sizes(20, 20, 20, 20), seed)) for seed in (0, 0, 1)
            )
            assert first == again != other
