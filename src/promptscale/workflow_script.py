"""What every script of the workflow shares: its log, its threads, and errors in one sentence."""

import contextlib
import importlib.util
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from promptscale.errors import PromptscaleError

_ACCELERATORS = ("jax_cuda13_plugin", "libtpu")  # JAX's plugins, where one is installed


@contextlib.contextmanager
def script(snakemake: Any) -> Iterator[None]:
    """Runs a script's body with its log set up.

    Everything that it or a library prints goes to the rule's log file. An error that the user can
    mend ends the job with its sentence alone; any other leaves its traceback in the log.

    Must be entered before JAX is imported: it gives JAX as many threads as the job has, and a
    cache of compiled programs that the jobs of one workflow share.
    """
    log_file = Path(str(snakemake.log[0]))
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("wb") as opened:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(opened.fileno(), stream.fileno())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    for chatty in ("absl", "jax"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    os.environ.setdefault("PJRT_NPROC", str(snakemake.threads))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if not any(map(importlib.util.find_spec, _ACCELERATORS)):
        # XLA's library for fused operations on CPU makes these models' steps a third slower.
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_experimental_ynn_fusion_type=")
    cache = snakemake.config.get("paths", {}).get("results", "results")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(cache, "state", "compiled")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
    _join_processes()
    try:
        yield
    except PromptscaleError as error:
        sys.exit(f"{snakemake.rule}: {error}")


def _join_processes() -> None:
    """Joins the processes of one job on several hosts, where the environment says that it has some.

    JAX finds that out by itself on a TPU, but not which of a slice's hosts are meant on a CPU.
    """
    count = int(os.environ.get("JAX_NUM_PROCESSES", "1"))
    if count > 1:
        import jax

        jax.distributed.initialize(
            os.environ["JAX_COORDINATOR_ADDRESS"], count, int(os.environ["JAX_PROCESS_ID"])
        )


def job_of(kind: Any, snakemake: Any) -> Any:
    """The job specification in the rule's parameter `job`."""
    return TypeAdapter(kind).validate_json(snakemake.params.job)


def jobs_of(kind: Any, snakemake: Any) -> list[Any]:
    """The job specifications in the rule's parameter `jobs`."""
    return [TypeAdapter(kind).validate_json(job) for job in snakemake.params.jobs]


def layout_of(snakemake: Any) -> Any:
    """How the job lies on its devices, from the rule's resources."""
    from promptscale.distributed.mesh import Layout

    resources = snakemake.resources
    return Layout(resources.model_axis, resources.examples_at_a_time)


def splits(files: Iterable[str]) -> dict[str, Path]:
    """Prefixes of prepared splits by task, from the paths of their files."""
    prefixes = [Path(file).with_suffix("") for file in files]
    return {prefix.parent.name: prefix for prefix in prefixes}
