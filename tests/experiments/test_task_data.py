"""What jobs read: names before inputs, sentinels before targets, mixtures in proportion."""

import collections
import json

import numpy as np
import pytest

from promptscale.config import grid
from promptscale.config.jobs import JobRun
from promptscale.config.load import validate
from promptscale.config.schema import Config
from promptscale.config.tasks import TASKS
from promptscale.data import prepared
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed.mesh import Devices
from promptscale.evaluation.dev_set import DevSet
from promptscale.experiments.prompt_design import cut, text_prompt
from promptscale.experiments.task_data import batches, dev_sets
from tests import tiny
from tests.config.test_config import MINIATURE

ROWS = {"boolq": 60, "cb": 20, "dpr": 40}
WORDS = (
    "boolq", "cb", "wsc:", "True", "False", "entailment", "contradiction", "neutral", ".",
    "equivalent", "a", "b", "c", "d",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A vocabulary and prepared splits whose inputs start with a token that names their task."""
    folder = tmp_path_factory.mktemp("data")
    vocabulary = Vocabulary(tiny.write_vocabulary(folder, WORDS, 40))
    for place, (task, count) in enumerate(ROWS.items()):
        for split in ("train", "validation"):
            rows = [
                {"id": str(i), "inputs": "a", "targets": "True", "label": 1} for i in range(count)
            ]
            inputs = prepared.Ragged.pack([[100 + place, 20] for _ in rows])
            targets = prepared.Ragged.pack([[30 + place] for _ in rows])
            prepared.write(folder / task / split, inputs, targets, rows)
    return vocabulary, {task: folder / task for task in ROWS}


def configured(**changes) -> Config:
    content = json.loads(json.dumps(MINIATURE))
    content |= {"sizes": ["mini-small"], "tasks": ["boolq", "cb"], "ensembles": None}
    content |= {"domain_shift": None, "convergence": None, "hyperparameter_search": None}
    for section, fields in changes.items():
        content[section] = {**content[section], **fields}
    return validate(Config, content, "")


def train_of(prefixes):
    return {task: folder / "train" for task, folder in prefixes.items()}


def real_rows(batch, step=0):
    """(run, example, inputs, targets) of the rows of a step that are not empty."""
    rows = [row for rows in batch(step).rows
            for row in zip(*map(np.asarray, (rows.run, rows.example, rows.inputs, rows.targets)),
                           strict=True)]  # fmt: skip
    return [row for row in rows if row[2][0]]


def test_every_run_of_a_bank_sees_its_own_task_in_its_own_order(data):
    vocabulary, prefixes = data
    (job,) = grid.prompt_jobs(configured(ablations={}), "prompt_length")[:1]
    for shared in (True, False):
        batch = batches(job, train_of(prefixes), vocabulary, Devices(), shared=shared)
        micro_batches = batch(0).rows
        assert shared or all(len(set(np.asarray(rows.run))) == 1 for rows in micro_batches)
        rows = real_rows(batch)
        assert job.runs[0] == JobRun("boolq", 0)
        assert sorted((run, example) for run, example, *_ in rows) == [
            (r, e) for r in range(6) for e in range(8)
        ]
        for run, _, inputs, _ in rows:
            assert inputs[0] == (100 if job.runs[run].task == "boolq" else 101)


def test_the_sentinel_stands_before_the_targets_alone(data):
    vocabulary, prefixes = data
    plain = grid.prompt_jobs(configured(), "prompt_length")[0]
    settings = plain.settings.model_copy(update={"sentinel": True})
    job = plain.model_copy(update={"settings": settings})
    batch = batches(job, train_of(prefixes), vocabulary, Devices(), shared=True)
    for _, _, inputs, targets in real_rows(batch):
        task = inputs[0] - 100
        assert task in (0, 1) and list(targets[:2]) == [vocabulary.size - 1, 30 + task]
    validation = {task: folder / "validation" for task, folder in prefixes.items()}
    limits = [dev_sets(one, validation, vocabulary)["boolq"].limit for one in (plain, job)]
    assert limits[1] == limits[0] + 1  # and one more token is generated


def test_a_mixture_has_every_task_in_proportion_and_by_name(data):
    """One epoch visits every example of every task once, the auxiliary task's too."""
    vocabulary, prefixes = data
    config = configured(multitask_tuning={"batch_size": 30})
    job = next(j for j in grid.model_jobs(config) if j.method == "model_tuning_multitask")
    batch = batches(job, train_of(prefixes), vocabulary, Devices(), shared=False)
    epoch = [
        inputs for step in range(4) for run, _, inputs, _ in real_rows(batch, step) if run == 0
    ]
    names = {task: vocabulary.encode(name) for task, name in
             (("boolq", "boolq"), ("cb", "cb"), ("dpr", "wsc:"))}  # fmt: skip
    found = collections.Counter()
    for row in epoch:
        task = next(t for t, place in (("boolq", 100), ("cb", 101), ("dpr", 102)) if place in row)
        assert list(row[: len(names[task])]) == names[task]
        found[task] += 1
    assert found == ROWS
    assert job.selecting_tasks(job.runs[0]) == ("boolq", "cb")  # not by the auxiliary task


def test_packing_chooses_as_many_examples_as_fill_the_rows(data):
    """Rows of 12 input tokens hold four examples of three (with EOS); a mixture's are longer."""
    vocabulary, prefixes = data
    packed = {"batch_size": 5, "pack": True, "max_input_length": 12}
    config = configured(model_tuning=packed, multitask_tuning=packed)
    jobs = {job.method: job for job in grid.model_jobs(config)}
    for method, most in (("model_tuning", 20), ("model_tuning_multitask", 19)):
        job = jobs[method]
        batch = batches(job, train_of(prefixes), vocabulary, Devices(), shared=False)
        for step in range(3):
            run, place = np.array([row[:2] for row in real_rows(batch, step)]).T
            for index in range(len(job.runs)):
                count = int(np.sum(run == index))
                assert count == 20 if method == "model_tuning" else 5 <= count <= most
                assert sorted(place[run == index]) == list(range(count))


def test_targets_are_cut_to_the_limit_of_the_tasks_that_a_run_is_trained_on():
    config = validate(Config, MINIATURE, "")
    job = next(j for j in grid.domain_shift_jobs(config) if "squad" in j.tasks)
    limits = {run.task: job.max_target_length(run) for run in job.runs}
    assert limits == {"squad": 97, "mrpc": 62, "qqp": 62}
    given = job.model_copy(
        update={"settings": job.settings.model_copy(update={"max_target_length": 9})}
    )
    assert {given.max_target_length(run) for run in given.runs} == {9}


def test_shifted_tasks_are_reported_and_do_not_select():
    config = validate(Config, MINIATURE, "")
    job = next(j for j in grid.domain_shift_jobs(config) if "squad" in j.tasks)
    run = next(run for run in job.runs if run.task == "mrpc")
    assert job.selecting_tasks(run) == ("mrpc",) and job.reported_tasks(run) == ("mrpc", "qqp")
    assert set(job.evaluated_tasks) == {
        "squad", "mrpc", "qqp", "textbookqa", "bioasq", "race", "re", "duorc", "drop",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "trained", "evaluated", "sentinel", "meant"),
    [
        ("not_duplicate", "qqp", "mrpc", False, "not_equivalent"),
        ("duplicate", "qqp", "qqp", False, "duplicate"),
        ("equivalent", "mrpc", "qqp", False, "duplicate"),
        ("rome", "squad", "drop", False, "rome"),
        ("<extra_id_0> True", "boolq", "boolq", True, "True"),
        ("<extra_id_0> True", "boolq", "boolq", False, "<extra_id_0> True"),
    ],
)
def test_predictions_have_the_labels_of_the_evaluated_task(
    data, monkeypatch, text, trained, evaluated, sentinel, meant
):
    vocabulary, prefixes = data
    monkeypatch.setattr(Vocabulary, "decode", lambda *_: text)
    examples = prepared.read(prefixes["cb"] / "validation")
    dev = DevSet(TASKS[evaluated], examples, vocabulary, sentinel=sentinel)
    predictions = dev.texts(np.zeros((len(examples), 2), np.int32), trained)
    assert predictions == [meant] * len(examples)


def test_worked_examples_stand_in_a_row_each_ended(data):
    vocabulary, prefixes = data
    examples = prepared.read(prefixes["boolq"] / "train")
    end = vocabulary.encode(".")
    assert text_prompt(examples, 0, 3, vocabulary, ".") == [100, 20, 30, *end] * 3
    assert cut("True . question", ".") == "True" and cut("True", ".") == "True"


def test_shapes_are_chosen_by_rows_as_runs_have_them(tmp_path):
    """A small dataset of long examples has as many rows in a step as a large one of short."""
    vocabulary = Vocabulary(tiny.write_vocabulary(tmp_path, WORDS, 40))
    for task, count, length in (("boolq", 4000, 10), ("cb", 10, 60)):
        rows = [{"id": str(i), "inputs": "a", "targets": "True", "label": 1} for i in range(count)]
        inputs = prepared.Ragged.pack([[20] * length for _ in rows])
        targets = prepared.Ragged.pack([[30] for _ in rows])
        prepared.write(tmp_path / task / "train", inputs, targets, rows)
    changes = {"steps": 10**5, "max_input_length": 64, "evaluate_every": 1000}
    job = grid.prompt_jobs(configured(ablations={}, prompt_tuning=changes), "prompt_length")[0]
    train = {task: tmp_path / task / "train" for task in ("boolq", "cb")}
    micro_batches = batches(job, train, vocabulary, Devices(), shared=True)(0).rows
    long = [rows for rows in micro_batches if rows.inputs.shape[1] > 60]
    assert len(long) == 1 and len(long[0].inputs) == 24  # three runs of eight rows
