"""What all scripts of the workflow share: set-up, and the reading of job specifications."""

import contextlib
import hashlib
import importlib.metadata
import logging
import os
import platform
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from promptscale import __version__
from promptscale.distributed.environment import configure_jax
from promptscale.errors import PromptscaleError
from promptscale.storage.attempt_log import close_log, open_log
from promptscale.storage.events import EventFile


@contextlib.contextmanager
def script_setup(snakemake: Any) -> Iterator[None]:
    """Runs a script's body with its log, JAX's settings and the processes of its job set up.

    All output of the script and of libraries goes to the rule's log file, below that of earlier
    attempts (`promptscale.storage.attempt_log`), and events to the job's event file
    (`promptscale.storage.events`). A PromptscaleError ends the job with its sentence; any other
    exception leaves its traceback in the log. JAX must be imported later, as its environment
    variables are set here: the job's number of threads, and a cache of compiled programs that the
    jobs of a workflow share.
    """
    log = Path(str(snakemake.log[0]))
    opened = open_log(log)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(opened, stream.fileno())
    os.close(opened)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    for library in ("absl", "jax"):
        logging.getLogger(library).setLevel(logging.WARNING)
    with _recorded_events(snakemake):
        _set_up_jax(snakemake)
        try:
            yield
        except PromptscaleError as error:
            sys.exit(f"{snakemake.rule}: {error}")
        except KeyboardInterrupt:
            sys.exit(f"{snakemake.rule}: it was interrupted")
    close_log(log)


@contextlib.contextmanager
def _recorded_events(snakemake: Any) -> Iterator[None]:
    """Records events in the file that the resource `events` names, from the primary process."""
    location = snakemake.resources.get("events")
    if not location or os.environ.get("JAX_PROCESS_ID", "0") != "0":
        yield
        return
    versions = {
        "promptscale": __version__,
        "jax": importlib.metadata.version("jax"),
        "python": platform.python_version(),
    }
    where = {"log": str(snakemake.log[0]), "host": platform.node(), "process": os.getpid()}
    events = EventFile(location, rule=snakemake.rule, **where, versions=versions)
    logging.getLogger().addHandler(events)
    try:
        yield
    except BaseException as error:
        ended = isinstance(error, SystemExit)
        text = str(error) if ended else traceback.format_exception_only(error)[-1].strip()
        events.record("failed", error=text)
        raise
    else:
        events.record("finished")
    finally:
        logging.getLogger().removeHandler(events)
        events.close()


def _set_up_jax(snakemake: Any) -> None:
    """Sets JAX's variables of the environment, and connects the processes of the job."""
    results = snakemake.config.get("paths", {}).get("results", "results")
    configure_jax(snakemake.threads, Path(results, "state", "compiled"))
    # The worker of a TPU slice sets these variables. JAX detects the hosts of a slice by itself,
    # but not the processes of a job on CPUs.
    if (count := int(os.environ.get("JAX_NUM_PROCESSES", "1"))) > 1:
        import jax

        process = int(os.environ["JAX_PROCESS_ID"])
        jax.distributed.initialize(os.environ["JAX_COORDINATOR_ADDRESS"], count, process)


def parse_job(kind: Any, snakemake: Any) -> Any:
    """The job specification of type `kind` in the rule's parameter `job`."""
    return TypeAdapter(kind).validate_json(snakemake.params.job)


def parse_jobs(kind: Any, snakemake: Any) -> list[Any]:
    """The job specifications of type `kind` in the rule's parameter `jobs`."""
    return [TypeAdapter(kind).validate_json(job) for job in snakemake.params.jobs]


def job_digest(snakemake: Any) -> str:
    """A digest of the job's specification and of the contents of its input files."""
    from promptscale.storage.fingerprint import contents_digest

    specification = f"{snakemake.params.job} {contents_digest(map(str, snakemake.input))}"
    return hashlib.sha256(specification.encode()).hexdigest()


def device_layout(snakemake: Any) -> Any:
    """The `Layout` of the job on its devices, from the rule's resources."""
    from promptscale.distributed.mesh import Layout

    resources = snakemake.resources
    return Layout(resources.model_axis, resources.token_budget, resources.peak_tflops)


def split_prefixes(files: Iterable[str]) -> dict[str, Path]:
    """The path prefix of each task's prepared split, from the paths of the splits' files."""
    prefixes = [Path(file).with_suffix("") for file in files]
    return {prefix.parent.name: prefix for prefix in prefixes}
