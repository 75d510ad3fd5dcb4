"""Commands as a user's shell runs them: closed pipes, Ctrl-C, services that do not answer."""

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

pytestmark = pytest.mark.slow
_SMALLEST = Path(__file__).parents[1] / "workflow" / "smallest.yaml"


def _start(*arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "promptscale.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


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
