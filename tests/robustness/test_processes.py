"""Commands as a user's shell runs them: closed pipes, Ctrl-C, services that do not answer."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from promptscale import prompts
from promptscale.errors import TpuError
from promptscale.tpu.cloud import Cloud, Unavailable
from promptscale.training import ownership
from tests.prompting import site
from tests.robustness.case import command, message_of

pytestmark = pytest.mark.slow
_SMALLEST = Path(__file__).parents[1] / "workflow" / "smallest.yaml"


_MODEL = ("--checkpoint", "t5_small", "--vocabulary", "spiece.model")


def _start(*arguments: str, folder: Path | None = None) -> subprocess.Popen:
    command = [sys.executable, "-m", "promptscale.cli", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | ({"XDG_CACHE_HOME": str(folder / "cache")} if folder else {})
    return subprocess.Popen(command, cwd=folder, env=environment, **pipes)


def test_a_closed_pipe_ends_a_command_without_a_word() -> None:
    process = _start("plan", "--config", str(_SMALLEST))
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 1


def test_a_closed_pipe_leaves_a_whole_output(tmp_path: Path) -> None:
    prompts.save(tmp_path / "p.npy", np.ones((5, 6), np.float32))
    process = _start("convert", str(tmp_path / "p.npy"), str(tmp_path / "a"), "--to", "peft")
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 1
    assert prompts.load(tmp_path / "a").shape == (5, 6)


def test_an_interrupted_command_ends_without_a_traceback(tmp_path: Path) -> None:
    """The command waits for a service that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = _start("tpu", "list", "--project=p", "--zone=a", f"--endpoint={address}")
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        connection.close()
    assert (process.returncode, output, errors) == (130, "", "")


@pytest.mark.parametrize("answers", [False, True])
def test_a_dead_service_is_left_after_the_patience(answers: bool) -> None:
    """A service that refuses the connection, and one that accepts it and is silent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if not answers:
            silent.close()
        cloud = Cloud("p", f"http://127.0.0.1:{port}", patience=1.0)
        for request in (lambda: cloud.list("a"), lambda: cloud.delete("s", "a")):
            start = time.monotonic()
            with pytest.raises(
                Unavailable, match=r"Cloud TPU could not .*, which may pass: "
            ) as got:
                request()
            assert time.monotonic() - start < 5
            assert len(str(got.value).splitlines()) == 1 and isinstance(got.value, TpuError)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A folder with a tiny model and the table `reviews.csv`."""
    folder = tmp_path_factory.mktemp("model")
    site.write_model(folder)
    site.write_reviews(folder / "reviews.csv")
    return folder


def test_answers_stop_without_an_error_when_their_pipe_is_closed(model: Path) -> None:
    (model / "long.txt").write_text("a good film\n" * 20_000)
    process = _start("predict", "long.txt", *_MODEL, "--max-output-tokens=2", folder=model)
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    lines = process.stderr.read().splitlines()
    assert lines and all(line.startswith(("loading ", "compiling: ")) for line in lines)
    assert process.wait(60) == 1


def test_a_second_tuning_in_a_folder_is_refused_and_the_first_can_be_interrupted(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted tuning leaves its state, and no result."""
    steps = ("--steps=100000", "--evaluate-every=10", "--batch-size=2", "--prompt-length=2")
    tuning = ("tune", "reviews.csv", "--out=out", *steps, *_MODEL)
    process = _start(*tuning, folder=model)
    owner = model / "out/state.owner"
    while not (owner.exists() and (model / "out/state.0").exists()):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    monkeypatch.chdir(model)
    monkeypatch.setattr(ownership, "GRACE_SECONDS", 1.0)
    message = message_of(lambda _: command(*tuning), model)
    assert f"out/state is in use by process {process.pid} on" in message
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "") and "Traceback" not in errors
    assert not list((model / "out").glob("*.npy")) and not owner.exists()
