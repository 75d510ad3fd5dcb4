"""The results of training do not depend on its layout on devices and processes."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.checkpoints import synthetic_checkpoints as synthetic
from tests.distributed import site

pytestmark = pytest.mark.slow  # starts processes

REPOSITORY = Path(__file__).parents[2]


def start(
    folder: Path, out: Path, method: str, *settings: str, devices: int = 1, **environment: str
) -> subprocess.Popen:
    """Starts the program of `site` on simulated devices."""
    out.mkdir(parents=True, exist_ok=True)
    flags = f"--xla_force_host_platform_device_count={devices}"
    variables = {
        "XLA_FLAGS": flags,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.distributed.site", folder, out, method, *settings],
        env=os.environ | variables | environment,
        cwd=REPOSITORY,
    )


def finish(out: Path, *processes: subprocess.Popen) -> Path:
    codes = [process.wait(300) for process in processes]
    logs = "\n".join(path.read_text() for path in sorted(out.glob("log_*.txt")))
    assert set(codes) == {0}, logs
    return out


def start_two(folder: Path, out: Path, method: str, *settings: str) -> list[subprocess.Popen]:
    """Starts the program as two processes of four devices each."""
    with socket.socket() as server:
        server.bind(("", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
    variables = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
    return [
        start(folder, out, method, *settings, devices=4, **variables, JAX_PROCESS_ID=str(index))
        for index in range(2)
    ]


def two_processes(folder: Path, out: Path, method: str, *settings: str) -> Path:
    return finish(out, *start_two(folder, out, method, *settings))


def results(out: Path) -> tuple[pd.DataFrame, list[str], dict[str, np.ndarray]]:
    """The metrics without times, the predictions, and the prompts by file name."""
    rows = pd.read_csv(out / "metrics.csv").drop(columns=["wall_seconds", "accelerator_seconds"])
    predictions = [path.read_text() for path in sorted(out.glob("predictions/**/*.jsonl"))]
    prompts = {path.name: np.load(path) for path in sorted(out.glob("prompts/**/*.npy"))}
    return rows, predictions, prompts


def assert_same(actual: Path, expected: Path) -> None:
    """Asserts equal selected steps and predictions, and numbers equal up to float32's rounding."""
    rows, predictions, prompts = results(actual)
    expected_rows, expected_predictions, expected_prompts = results(expected)
    pd.testing.assert_frame_equal(rows, expected_rows, rtol=1e-4)
    assert predictions == expected_predictions and len(predictions) == len(site.SEEDS)
    assert prompts.keys() == expected_prompts.keys()
    for name, prompt in prompts.items():
        np.testing.assert_allclose(prompt, expected_prompts[name], rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return site.make(tmp_path_factory.mktemp("devices"))


@pytest.fixture(scope="module")
def alone(folder) -> dict[str, Path]:
    """The results of a single device, by method."""
    methods = ("prompt_tuning", "model_tuning")
    return {m: finish(folder / m, start(folder, folder / m, m)) for m in methods}


@pytest.mark.parametrize(
    ("method", "model_axis"), [("prompt_tuning", 1), ("prompt_tuning", 4), ("model_tuning", 4)]
)
def test_eight_devices_equal_a_single_device(folder, alone, tmp_path, method, model_axis):
    process = start(folder, tmp_path, method, f"model_axis={model_axis}", devices=8)
    assert_same(finish(tmp_path, process), alone[method])


@pytest.mark.parametrize(("method", "model_axis"), [("prompt_tuning", 2), ("model_tuning", 8)])
def test_two_processes_of_four_devices_equal_a_single_device(
    folder, alone, tmp_path, method, model_axis
):
    out = two_processes(folder, tmp_path, method, f"model_axis={model_axis}")
    assert_same(out, alone[method])


def test_two_processes_write_the_checkpoint_of_a_single_process(folder, tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    finish(alone, start(folder, alone, "adaptation"))
    two_processes(folder, together, "adaptation", "model_axis=4")
    single, double = (synthetic.read(out / "checkpoint") for out in (alone, together))
    assert single.step == double.step == 1_000_004
    start_params = synthetic.read(folder / "checkpoint").params
    for name, array in single.params.items():
        assert not np.array_equal(array, start_params[name])
        np.testing.assert_allclose(array, double.params[name], rtol=1e-3, atol=1e-4)
    for name, slots in single.optimizer.items():
        for slot, array in slots.items():
            np.testing.assert_allclose(array, double.optimizer[name][slot], rtol=1e-3, atol=1e-6)
    assert {path.name for path in together.iterdir()} == {
        "checkpoint", "losses.csv", "events.jsonl", "log_0.txt", "log_1.txt"
    }  # fmt: skip


def test_two_processes_resume_a_state_of_a_single_device(folder, tmp_path):
    continued(folder, tmp_path, "prompt_tuning", 1, "model_axis=2")


def test_two_processes_resume_a_state_of_eight_devices(folder, tmp_path):
    continued(folder, tmp_path, "model_tuning", 8, "model_axis=4")


def continued(folder: Path, tmp_path: Path, method: str, devices: int, layout: str) -> None:
    """Kills a training, and resumes it in two processes of four devices."""
    settings = ("steps=8", "evaluate_every=4", "large=100")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(whole, start(folder, whole, method, *settings))
    process = start(folder, killed, method, *settings, f"model_axis={devices}", devices=devices)
    while process.poll() is None and not (killed / "state.1").exists():
        time.sleep(0.001)
    process.kill()
    process.wait()
    two_processes(folder, killed, method, *settings, layout)
    assert "resuming at step" in (killed / "log_0.txt").read_text()
    assert_same(killed, whole)
    assert not list(killed.glob("state*"))


def test_microbatches_give_the_same_update(folder, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    process = start(folder, parts, "prompt_tuning", "token_budget=30", devices=2)
    finish(parts, process)
    assert_same(parts, finish(whole, start(folder, whole, "prompt_tuning")))


def test_a_model_axis_that_does_not_divide_the_devices_is_an_error(folder, tmp_path):
    process = start(folder, tmp_path, "prompt_tuning", "model_axis=3", devices=8)
    assert process.wait(100) != 0
    assert "a model_axis of 3, which does not divide the 8" in (tmp_path / "log_0.txt").read_text()


def test_a_failed_read_of_process_0_ends_all_processes(folder, tmp_path):
    processes = start_two(folder, tmp_path, "broadcast")
    assert all(process.wait(60) not in (0, None) for process in processes)
    logs = [(tmp_path / f"log_{index}.txt").read_text() for index in range(2)]
    assert logs[0].endswith("tune: The file is damaged.\n")
    assert "tune: Process 0 failed to read: The file is damaged.\n" in logs[1]
