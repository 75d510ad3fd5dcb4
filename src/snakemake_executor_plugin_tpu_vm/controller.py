"""The executor's work: jobs to slices, or to this machine's cores, and their outcomes to Snakemake.

What a slice does is in `promptscale.tpu`; this is the part that knows Snakemake. Jobs are finished
in this process, so what Snakemake remembers of them is what it remembers of local ones.
"""

import csv
import fcntl
import hashlib
import logging
import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.logging import LoggerExecutorInterface
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from promptscale.config.accelerators import accelerators
from promptscale.errors import PromptscaleError, TpuError
from promptscale.storage.atomic import atomic_write
from promptscale.tpu.bucket import Bucket
from promptscale.tpu.cloud import Cloud, Shape
from promptscale.tpu.dispatcher import Dispatcher
from promptscale.tpu.environment import environment
from promptscale.tpu.pending_job import Outcome, Work, report
from promptscale.tpu.pool import Limits
from snakemake_executor_plugin_tpu_vm.tasks import Hashes, work_of

if TYPE_CHECKING:
    from snakemake_executor_plugin_tpu_vm import Executor, ExecutorSettings


class Controller:
    """Sends jobs with `tpu_type` to slices and runs the others here, as many as there are cores."""

    def __init__(self, executor: "Executor") -> None:
        """Looks at the settings.

        Raises:
          WorkflowError: they are not usable, or another controller is at work in this folder.
        """
        self._executor = executor
        self._workflow = executor.workflow
        self._logger = executor.logger
        self._settings: ExecutorSettings = self._workflow.executor_settings
        self._check()
        self._lock_folder()
        self._infos: dict[Work, SubmittedJobInfo] = {}
        self._works: dict[JobExecutorInterface, Work] = {}
        self._hashes = Hashes()
        settings = self._settings
        self._run = settings.run or _run_name()
        self._location = f"{str(settings.bucket).rstrip('/')}/{self._run}"
        local = ExecutorPluginRegistry().get_plugin("local")
        self._here = local.executor(self._workflow, self._logger)
        # Snakemake counts no cores where there is an executor for elsewhere.
        cores = self._workflow.resource_settings.cores or os.cpu_count()
        self._here.pool = ThreadPoolExecutor(max_workers=cores)
        _forward("promptscale.tpu", self._logger)
        try:
            self._dispatcher = self._make_dispatcher()
        except PromptscaleError as error:
            raise WorkflowError(str(error)) from None

    def _check(self) -> None:
        settings = self._settings
        if missing := [name for name in ("project", "bucket") if not getattr(settings, name)]:
            options = " and ".join(f"--tpu-vm-{name}" for name in missing)
            variables = " and ".join(f"SNAKEMAKE_TPU_VM_{name.upper()}" for name in missing)
            raise WorkflowError(
                f"TPU slices need {options}, on the command line or as {variables}; "
                "docs/tpu.md says what they are."
            )
        if not str(settings.bucket).startswith("gs://"):
            raise WorkflowError(f"--tpu-vm-bucket is gs://…, not {settings.bucket}.")
        if settings.run and not re.fullmatch("[a-z][a-z0-9-]{0,19}", settings.run):
            raise WorkflowError(
                f"--tpu-vm-run is up to 20 small letters, digits and dashes, not {settings.run}."
            )
        if settings.spot and settings.reservation:
            raise WorkflowError("Slices are either spot or of a reservation; both were asked for.")

    def _make_dispatcher(self) -> Dispatcher:
        settings = self._settings
        lock = settings.lock or Path(self._workflow.main_snakefile).parent / "envs/tpu.lock"
        # A cap that is given to Snakemake holds for slices without work, too.
        resources = self._workflow.global_resources
        chips = resources["tpu_chips"].value if "tpu_chips" in resources else None
        limits = Limits(
            idle=settings.idle_timeout,
            startup=settings.startup_timeout,
            silence=settings.host_timeout,
            queue=settings.queue_timeout,
            pause=settings.beat / 2,
            **({} if chips is None else {"chips": float(chips)}),
        )
        return Dispatcher(
            Cloud(str(settings.project), settings.endpoint),
            Bucket(self._location),
            environment(Path(lock)),
            self._run,
            limits,
            settings.beat,
            settings.max_preemptions,
        )

    @property
    def begun(self) -> bool:
        """Whether there are slices to follow."""
        return bool(self._dispatcher.pool.slices)

    def run(self, job: JobExecutorInterface) -> None:
        """Takes a job on."""
        if not job.resources.get("tpu_type"):
            self._here.run_job(job)
            return
        info = SubmittedJobInfo(job=job)
        try:
            self._workflow.async_run(job.prepare())
            config = self._workflow.config
            work = work_of(job, config, self._shape(job), self._hashes, self._location)
        except (PromptscaleError, OSError) as error:
            self._executor.report_job_error(info, msg=f"{error}\n")
            return
        self._infos[work], self._works[job] = info, work
        self._executor.report_job_submission(info)
        self._dispatcher.add(work)

    def cycle(self) -> set[int]:
        """Follows all jobs; the ids of those job infos that have not ended."""
        for outcome in self._dispatcher.cycle():
            self._report(outcome, self._infos.pop(outcome.work))
        return {id(info) for info in list(self._infos.values())}

    def _report(self, outcome: Outcome, info: SubmittedJobInfo) -> None:
        if outcome.error is None:
            self._executor.report_job_success(info)
        else:
            self._executor.report_job_error(info, msg=outcome.error)

    def ended(self, job: JobExecutorInterface, *, success: bool) -> None:
        """Takes note that Snakemake has finished with a job, here or on a slice."""
        work = self._works.pop(job, None)
        if work and success:
            self._dispatcher.forget(work)

    def close(self) -> None:
        """Deletes all slices, and says how often jobs were interrupted."""
        self._here.shutdown()
        try:
            self._dispatcher.close()
        except TpuError as error:
            self._logger.error(str(error))
        self._tell(list(report(self._dispatcher.interrupted)))

    def _tell(self, rows: list[tuple[str, int, str]]) -> None:
        """Says how often jobs were interrupted, if any was."""
        if not rows:
            return
        path = Path(self._settings.report)
        with (
            atomic_write(path) as partial,
            partial.open("w", newline="", encoding="utf-8") as opened,
        ):
            table = csv.writer(opened, lineterminator="\n")
            table.writerows([("job", "interruptions", "last_reason"), *rows])
        total = sum(count for _, count, _ in rows)
        self._logger.warning(
            f"{total} interruptions of {len(rows)} jobs, which went on from their saved states; "
            f"most often ({rows[0][1]}): {rows[0][0]}. All: {path}"
        )

    def _shape(self, job: JobExecutorInterface) -> Shape:
        """The slice that a job asks for: by its resources, else by settings and the table."""
        settings, resources = self._settings, job.resources
        kind = resources.get("tpu_type")
        found = accelerators().get(kind)
        if found is None or found.kind != "tpu":
            raise TpuError(
                f"Rule {job.name} asks for tpu_type={kind}, which accelerators.yaml does "
                "not know as a TPU."
            )
        zone = resources.get("tpu_zone") or settings.zone
        spot = bool(resources.get("tpu_spot", settings.spot))
        return Shape(
            accelerator=kind,
            runtime=resources.get("tpu_runtime") or found.runtime_version or "tpu-ubuntu2204-base",
            hosts=found.hosts,
            chips=found.chips,
            tier="spot" if spot else settings.reservation or "on-demand",
            zones=tuple(zone.split(",")) if zone else tuple(found.zones),
        )

    def _lock_folder(self) -> None:
        """Keeps two controllers out of one folder.

        Snakemake's own lock outlives a controller that is killed, and then stands in the way of
        the next one; the profile switches it off. This one ends with the process.
        """
        self._lock_file = Path(".snakemake/tpu-vm.lock").open("w")  # noqa: SIM115
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise WorkflowError(
                "Another Snakemake runs jobs on TPU slices from this folder; it is to end first."
            ) from None


class _Forward(logging.Handler):
    """Hands log records of the library to Snakemake's logger."""

    def __init__(self, to: LoggerExecutorInterface) -> None:
        super().__init__()
        self._to = to

    def emit(self, record: logging.LogRecord) -> None:
        """Passes a record on by its level."""
        tell = self._to.warning if record.levelno >= logging.WARNING else self._to.debug
        tell(record.getMessage())


def _forward(name: str, to: LoggerExecutorInterface) -> None:
    source = logging.getLogger(name)
    source.handlers = [_Forward(to)]
    source.propagate = False


def _run_name() -> str:
    """Names the run by the machine and folder that it is controlled from."""
    place = f"{socket.gethostname()}:{Path.cwd()}"
    return f"ps{hashlib.sha256(place.encode()).hexdigest()[:8]}"
