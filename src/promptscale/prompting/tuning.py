"""Tunes a prompt, or the model, for a user's own task; a killed tuning goes on.

The training is the workflow's (`promptscale.experiments.tuning.train_runs`): only the task and its
examples come from elsewhere.
"""

import hashlib
import itertools
import logging
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from promptscale.config.tasks import Task
from promptscale.data.prepared import write_rows
from promptscale.data.vocabulary import Vocabulary
from promptscale.errors import ConfigError, DivergedError
from promptscale.experiments.tuning import Inputs, Trained, train_runs
from promptscale.prompting import examples as example_files
from promptscale.prompting.card import IN_CHECKPOINT, Card, Source, Sources, read_card, versions
from promptscale.prompting.examples import Example
from promptscale.prompting.model import Model
from promptscale.prompting.options import Options, tuning_job
from promptscale.prompting.prompt import Prompt, load_prompt
from promptscale.prompting.template import Template
from promptscale.storage.atomic import atomic_write
from promptscale.storage.fingerprint import tree_digest

log = logging.getLogger(__name__)

Pairs = Sequence[tuple[str, str]]
PROMPT_CARD = "prompt.json"
MODEL = "model"  # the tuned model in the folder of a model tuning
# Paths may be written otherwise when a tuning is started again.
_LOCATIONS = {name: {"location"} for name in Sources.model_fields}


class Tuned(NamedTuple):
    """The best run of a tuning, on the dev set.

    Attributes:
      card: what it was trained on and how, with its scores.
      prompt: None after a model tuning, which leaves a checkpoint in the folder.
    """

    card: Card
    prompt: Prompt | None


def tune(model: Model, data: Path | Pairs, out: Path, options: Options) -> Tuned:
    """Tunes for the task of `data`, a table or pairs of input and target.

    The folder `out` gets `prompt.npy` (or a checkpoint `model`), its card, `predictions.jsonl` on
    the dev set and `dev_scores.csv`; of several seeds also `seed_N.npy`. The card is written last.
    A folder with a card of the same data and settings is not tuned again.

    Raises:
      PromptscaleError: an input is missing, damaged or does not fit; the folder has the result of
        another tuning, or another process tunes in it; all runs diverged.
    """
    train, dev = _examples(data, options)
    targets = [example.target for example in [*train, *dev]]
    task = example_files.task_of(task_name(data, options), targets, options.answers)
    example_files.check_labels(task, model.vocabulary)
    what = f"labels {', '.join(task.labels)}" if task.labels else "free text"
    log.info("%s: %d training examples, %d dev examples, %s", task.name, len(train), len(dev), what)
    longest = _longest(model.vocabulary, [example.target for example in train])
    job = tuning_job(options, task, longest, model.architecture, model.activations)
    sources = _sources(model, data, options, train, dev)
    specification = f"{job.model_dump_json()} {sources.model_dump_json(exclude=_LOCATIONS)}"
    training = hashlib.sha256(specification.encode()).hexdigest()
    if (finished := _finished(out, training)) is not None:
        log.info("%s has the result of this tuning", out)
        return finished
    with tempfile.TemporaryDirectory() as folder:
        prefixes = {split: Path(folder, split) for split in ("train", "validation")}
        for split, examples in zip(prefixes.values(), (train, dev), strict=True):
            example_files.prepare(task, examples, model.vocabulary, split)
        inputs = Inputs(
            checkpoint=model.checkpoint,
            vocabulary=model.vocabulary.path,
            train={task.name: prefixes["train"]},
            validation={task.name: prefixes["validation"]},
            state=str(out / "state"),
            digest=training,
        )
        trained = train_runs(job, inputs)
    selected = _selected(task, trained)
    cards = [
        Card(
            method=job.method,
            task=task,
            template=options.template,
            target_column=options.target_column,
            max_output_tokens=trained.dev[task.name].limit,
            sources=sources,
            train_examples=len(train),
            dev_examples=len(dev),
            settings=job.settings.model_dump(),
            training=training,
            seed=run.seed,
            step=rows[0]["step"],
            scores={row["metric"]: row["value"] for row in rows},
            versions=versions(),
        )
        for run, rows in zip(job.runs, selected, strict=True)
    ]
    _write(out, cards, trained)
    trained.state.delete()
    finished = _finished(out, training)
    assert finished
    return finished


def _examples(data: Path | Pairs, options: Options) -> tuple[list[Example], list[Example]]:
    """The training examples and the dev examples."""
    template, column = Template(options.template), options.target_column
    if isinstance(data, Path):
        examples = example_files.read_examples(data, template, column, options.format)
    else:
        pairs = enumerate(data, 1)
        examples = example_files.checked(Example(f"pair {n}", *pair) for n, pair in pairs)
    if options.dev is None:
        return example_files.hold_out(examples)
    return examples, example_files.read_examples(options.dev, template, column, options.format)


def task_name(data: Path | Pairs, options: Options) -> str:
    """The task's name, which is a part of paths."""
    name = options.name or (data.name.split(".")[0] if isinstance(data, Path) else "")
    return re.sub("[^A-Za-z0-9]+", "_", name)[:40].strip("_") or "task"


def _longest(vocabulary: Vocabulary, targets: Sequence[str]) -> int:
    """The tokens of the longest target, with EOS."""
    return max(2, *(len(vocabulary.encode(target)) + 1 for target in targets))


def _sources(
    model: Model,
    data: Path | Pairs,
    options: Options,
    train: Sequence[Example],
    dev: Sequence[Example],
) -> Sources:
    """What is read, with the digests of its contents."""

    def source(table: Path | Pairs, *examples: Sequence[Example]) -> Source:
        location = str(table) if isinstance(table, Path) else "pairs in memory"
        return Source(location=location, digest=example_files.digest(itertools.chain(*examples)))

    vocabulary = str(model.vocabulary.path)
    return Sources(
        checkpoint=model.source,
        vocabulary=Source(location=vocabulary, digest=tree_digest(vocabulary)),
        data=source(data, train) if options.dev else source(data, train, dev),
        dev=source(options.dev, dev) if options.dev else None,
    )


def _selected(task: Task, trained: Trained) -> list[list[dict[str, Any]]]:
    """The rows of each run's dev scores at its best step.

    Raises:
      DivergedError: each run diverged before it was better than at its start.
    """
    rows = trained.result.rows
    diverged = {row["run"] for row in rows if row["metric"] == "diverged"}
    selected: list[list[dict[str, Any]]] = [[] for _ in trained.predictions]
    for row in rows:
        if row["selected"] and row["eval_task"]:
            selected[row["run"]].append(row)
    if len(diverged) == len(selected) and all(run[0]["step"] == 0 for run in selected):
        raise DivergedError(
            f"The tuning of {task.name} diverged in its first steps; a smaller --learning-rate may "
            "help."
        )
    return selected


def _finished(out: Path, training: str) -> Tuned | None:
    """The result in the folder, if there is one.

    Raises:
      ConfigError: the folder has the result of another training.
    """
    for path in (out / PROMPT_CARD, out / MODEL / IN_CHECKPOINT):
        if path.exists():
            card = read_card(path)
            if card.training != training:
                raise ConfigError(
                    f"{out} has the result of a tuning with other data, settings or another "
                    "checkpoint; name another folder with --out, or delete this one."
                )
            return Tuned(card, load_prompt(out, card.task.name) if path.parent == out else None)
    return None


def _write(out: Path, cards: Sequence[Card], trained: Trained) -> None:
    """Writes predictions and scores, then what was tuned, and last the card of the best run."""
    best = max(range(len(cards)), key=lambda run: cards[run].scores["score"])
    name = cards[best].task.name
    texts = trained.predictions[best][name]
    write_rows(out / "predictions.jsonl", trained.dev[name].prediction_rows(texts))
    columns = ["seed", "step", "metric", "value", "selected", "wall_seconds"]
    scores = pd.DataFrame(trained.result.rows)
    scores = scores.assign(seed=[cards[run].seed for run in scores["run"]])[columns]
    with atomic_write(out / "dev_scores.csv") as partial:
        scores.to_csv(partial, index=False)
    if cards[best].method == "model_tuning":
        trained.save(best, out / MODEL)
        cards[best].save(out / MODEL / IN_CHECKPOINT)
        return
    stems = [(run, f"seed_{card.seed}") for run, card in enumerate(cards) if len(cards) > 1]
    for run, stem in [*stems, (best, Path(PROMPT_CARD).stem)]:
        trained.save(run, out / stem)
        cards[run].save(out / f"{stem}.json")
