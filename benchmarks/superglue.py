"""SuperGLUE's examples for the benchmarks: real text where it is at hand, else generated lengths.

    python -m benchmarks.superglue SHARED FOLDER

prepares the published files below `SHARED/data` as the workflow does (it imports TensorFlow) and
writes them to `FOLDER`. `read` then gives their token ids. Where the folder `shared` is absent, or
holds no files of SuperGLUE, `generate` draws examples whose lengths have the statistics of
`LENGTHS`; their tokens are random.
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks.cases import generated_batch
from promptscale.errors import PromptscaleError

Examples = list[tuple[list[int], list[int]]]  # the token ids of inputs and targets, with EOS

VOCABULARY = "data/prompt-tuning/test_data/t5_vocab"
# The split that is read, and the file that replaces the published one if that is not at hand:
# BoolQ's training split is not among the files, and of ReCoRD's there are 32 rows.
SPLITS = {
    "boolq": ("validation", ""), "cb": ("train", ""), "copa": ("train", ""),
    "multirc": ("train", ""), "record": ("train", "superglue/ReCoRD/fewglue_train32.jsonl"),
    "rte": ("train", ""), "wic": ("train", ""), "wsc": ("train", ""),
}  # fmt: skip

# Of each task: mean and spread of the logarithm of the inputs' lengths, their shortest and longest,
# and the targets' mean length. Computed from the files above with T5's vocabulary, EOS included.
LENGTHS = {
    "boolq": (4.94, 0.47, 32, 1138, 3), "cb": (4.44, 0.43, 32, 302, 3),
    "copa": (3.58, 0.12, 26, 51, 3), "multirc": (5.92, 0.40, 143, 861, 3),
    "record": (5.78, 0.18, 240, 487, 4), "rte": (4.26, 0.50, 16, 312, 6),
    "wic": (3.36, 0.22, 16, 82, 3), "wsc": (3.37, 0.49, 11, 128, 3),
}  # fmt: skip


def prepare(shared: Path, folder: Path) -> None:
    """Writes the token ids of all tasks to `folder`, with the workflow's own preparation."""
    from promptscale.config.schema import Data
    from promptscale.config.tasks import task
    from promptscale.data.raw.prepare_tasks import prepare as prepare_split
    from promptscale.data.vocabulary import Vocabulary

    vocabulary = Vocabulary(shared / VOCABULARY)
    for name, (split, substitute) in SPLITS.items():
        replaced = {f"{name}/{split}": str(shared / "data" / substitute)} if substitute else {}
        data = Data(local_files=str(shared / "data"), substitutes=replaced)
        prepare_split(task(name), split, data, vocabulary, folder / name)


def read(folder: Path) -> dict[str, Examples]:
    """The examples of all tasks that `prepare` wrote."""
    from promptscale.data.prepared import read as read_split
    from promptscale.data.vocabulary import EOS_ID

    tasks = {}
    for name in SPLITS:
        split = read_split(folder / name, 32_128)
        tasks[name] = [
            ([*inputs.tolist(), EOS_ID], [*targets.tolist(), EOS_ID])
            for inputs, targets in zip(split.inputs, split.targets, strict=True)
        ]
    return tasks


def generate(count: int = 256) -> dict[str, Examples]:
    """Examples of random tokens, with the lengths of `LENGTHS`, `count` of each task."""
    tasks = {}
    for number, (name, (mean, spread, shortest, longest, targets)) in enumerate(LENGTHS.items()):
        draw = np.random.default_rng(number)
        drawn = np.exp(draw.normal(mean, spread, count)).round().astype(int)
        lengths = np.clip(drawn, shortest, longest).tolist()
        batch = generated_batch([(length, targets) for length in lengths], seed=number)
        tasks[name] = list(zip(batch["inputs"], batch["targets"], strict=True))
    return tasks


def sample(examples: Examples, count: int, longest: int = 512) -> dict[str, list[list[int]]]:
    """A batch of `count` examples, drawn with a fixed seed; inputs are cut to `longest` tokens."""
    chosen = np.random.default_rng(0).permutation(len(examples))[:count]
    pairs = [examples[index] for index in chosen]
    return {
        "inputs": [ids if len(ids) <= longest else [*ids[: longest - 1], 1] for ids, _ in pairs],
        "targets": [ids for _, ids in pairs],
    }


if __name__ == "__main__":
    try:
        prepare(*map(Path, sys.argv[1:3]))
    except PromptscaleError as error:
        sys.exit(str(error))
