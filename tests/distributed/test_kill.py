"""A training that was killed and resumed gives the same bits as an undisturbed training."""

import functools
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from promptscale.storage.events import read_events
from promptscale.storage.store import open_parent
from tests.distributed import site
from tests.distributed.test_devices import finish, results, start

pytestmark = pytest.mark.slow  # starts processes

# The number of kills; `make chaos` sets a larger number.
MOMENTS = int(os.environ.get("PROMPTSCALE_KILLS", "3"))
SETTINGS = ("steps=60", "evaluate_every=20")  # and a state after each step
SHARED = ("steps=12", "evaluate_every=6", "model_axis=4", "large=100")  # arrays apart


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return site.make(tmp_path_factory.mktemp("kill"))


def begin(folder: Path, out: Path, method: str) -> subprocess.Popen:
    """Starts prompt tuning on a single device, or model tuning on four devices."""
    settings = SETTINGS if method == "prompt_tuning" else SHARED
    devices = 1 if method == "prompt_tuning" else 4
    return start(folder, out, method, *settings, devices=devices)


@pytest.fixture(scope="module")
def undisturbed(folder) -> Callable[[str], Path]:
    """The results of an undisturbed training, by method."""
    return functools.cache(lambda name: finish(folder / name, begin(folder, folder / name, name)))


def test_a_second_process_refuses_the_state_of_a_running_training(folder, undisturbed, tmp_path):
    """The second ends with a sentence, and the first with the bits of an undisturbed training."""
    first = begin(folder, tmp_path, "prompt_tuning")
    while first.poll() is None and not (tmp_path / "state.0").exists():
        time.sleep(0.001)
    first.send_signal(signal.SIGSTOP)  # it lives, and cannot end before the second has seen it
    second = begin(folder, tmp_path, "prompt_tuning")
    assert second.wait(300) == 1
    sentence = rf"tune: The state {tmp_path}/state is in use by process {first.pid} on "
    assert re.search(sentence, (tmp_path / "log_0.txt").read_text())
    first.send_signal(signal.SIGCONT)
    assert_same_bits(finish(tmp_path, first), undisturbed("prompt_tuning"))


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_killed_training_ends_with_the_same_bits(folder, undisturbed, tmp_path, moment):
    """Kills the training in a step, in an evaluation, or while it writes a state."""
    draw = random.Random(moment)
    method = ("prompt_tuning", "prompt_tuning", "model_tuning")[moment % 3]
    process = begin(folder, tmp_path, method)
    while process.poll() is None and not (tmp_path / "state.0").exists():
        time.sleep(0.001)
    # The training spends most of its time in writing states.
    time.sleep(draw.uniform(0, 0.5))
    process.kill()
    process.wait()
    ended = (tmp_path / "metrics.csv").exists()
    finish(tmp_path, begin(folder, tmp_path, method))
    assert ended or "resuming at step" in (tmp_path / "log_0.txt").read_text()
    events = read_events(*open_parent(str(tmp_path / "events.jsonl")))
    assert events[-1]["event"] == "finished"
    attempts = [event["attempt"] for event in events if event["event"] == "started"]
    assert attempts == ([1] if ended else [1, 2])
    assert ended or any(event["event"] == "resuming" for event in events)
    assert_same_bits(tmp_path, undisturbed(method))
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith("state")]
    assert not left


def assert_same_bits(out: Path, expected: Path) -> None:
    """Asserts equal metrics, predictions and prompts."""
    rows, predictions, prompts = results(out)
    their_rows, their_predictions, their_prompts = results(expected)
    assert rows.equals(their_rows) and predictions == their_predictions
    assert prompts.keys() == their_prompts.keys()
    for name, prompt in prompts.items():
        np.testing.assert_array_equal(prompt, their_prompts[name])
