"""Connects Snakemake to `promptscale.tpu`: submits jobs, and reports their ends to Snakemake.

Jobs end in this process, so that Snakemake records the same metadata as for local jobs.
"""

import logging
import os
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from filelock import FileLock, Timeout
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from promptscale.config.accelerators import accelerators
from promptscale.errors import PromptscaleError, TpuError
from promptscale.storage.atomic import atomic_write
from promptscale.storage.store import Store
from promptscale.tpu.cloud import Cloud, SliceType
from promptscale.tpu.dispatcher import Dispatcher
from promptscale.tpu.environment import environment
from promptscale.tpu.pending_job import PendingJob
from promptscale.tpu.pool import Limits
from promptscale.tpu.remote_job import sha256
from snakemake_executor_plugin_tpu_vm.packing import pack_job

if TYPE_CHECKING:
    from snakemake_executor_plugin_tpu_vm import Executor, ExecutorSettings


class Controller:
    """Runs jobs with the resource `tpu_type` on slices, and other jobs on this machine's cores."""

    def __init__(self, executor: "Executor") -> None:
        """Checks the settings; requests nothing.

        Raises:
          WorkflowError: a setting is wrong, or another controller works in this folder.
        """
        self._executor = executor
        self._workflow = executor.workflow
        self._logger = executor.logger
        settings: ExecutorSettings = self._workflow.executor_settings
        if problem := _problem(settings):
            raise WorkflowError(problem)
        # Snakemake's lock survives a killed controller and blocks the next controller, so the
        # profile switches it off. The operating system releases this lock when the process ends.
        self._lock = FileLock(Path(".snakemake/tpu-vm.lock"))
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise WorkflowError(
                "Another Snakemake runs jobs on TPU slices from this folder; wait until it ends, "
                "or stop it."
            ) from None
        self._pending_jobs: dict[JobExecutorInterface, PendingJob] = {}
        place = f"{socket.gethostname()}:{Path.cwd()}"
        run = settings.run or f"ps{sha256(place.encode())[:8]}"
        self._location = f"{str(settings.bucket).rstrip('/')}/{run}"
        plugin = ExecutorPluginRegistry().get_plugin("local")
        self._local = plugin.executor(self._workflow, self._logger)
        # With a remote executor Snakemake does not limit local jobs to the number of cores.
        cores = self._workflow.resource_settings.cores or os.cpu_count()
        self._local.pool = ThreadPoolExecutor(max_workers=cores)
        library = logging.getLogger("promptscale.tpu")
        library.handlers, library.propagate = [_ForwardHandler(self._logger)], False
        lock = settings.lock or Path(self._workflow.main_snakefile).parent / "envs/tpu.lock"
        # Snakemake's bound on `tpu_chips` also counts slices without a job.
        resources = self._workflow.global_resources
        limits = Limits(
            idle=settings.idle_timeout,
            startup=settings.startup_timeout,
            heartbeat=settings.host_timeout,
            queue=settings.queue_timeout,
            interval=settings.heartbeat,
            chips=float(resources["tpu_chips"].value if "tpu_chips" in resources else "inf"),
            interruptions=settings.max_preemptions,
        )
        try:
            cloud = Cloud(str(settings.project), settings.endpoint)
            store = Store(self._location, TpuError)
            self.dispatcher = Dispatcher(cloud, store, environment(Path(lock)), run, limits)
        except PromptscaleError as error:
            raise WorkflowError(str(error)) from None

    def run(self, job: JobExecutorInterface) -> None:
        """Submits a job."""
        if not job.resources.get("tpu_type"):
            self._local.run_job(job)
            return
        info = SubmittedJobInfo(job=job)
        try:
            self._workflow.async_run(job.prepare())
            slice_type = self._slice_type(job)
            pending = pack_job(job, self._workflow.config, slice_type, self._location)
        except (PromptscaleError, OSError) as error:
            self._executor.report_job_error(info, msg=f"{error}\n")
            return
        self._pending_jobs[job] = pending
        self._executor.report_job_submission(info)
        self.dispatcher.add(pending)

    def cycle(self, active_jobs: list[SubmittedJobInfo]) -> Iterator[SubmittedJobInfo]:
        """Runs a cycle of the dispatcher; reports jobs that have ended and yields the others."""
        self.dispatcher.cycle()
        for info in active_jobs:
            pending = self._pending_jobs[info.job]
            if not pending.ended:
                yield info
            elif pending.error is None:
                self._executor.report_job_success(info)
            else:
                self._executor.report_job_error(info, msg=pending.error)

    def finish(self, job: JobExecutorInterface) -> None:
        """Has a job deleted in the bucket, as Snakemake has checked its outputs."""
        if pending := self._pending_jobs.pop(job, None):
            pending.finished = True

    def close(self) -> None:
        """Deletes all slices and reports interruptions."""
        self._local.shutdown()
        try:
            self.dispatcher.close()
        except TpuError as error:
            self._logger.error(str(error))
        if self.dispatcher.interrupted:
            self._report_interruptions()

    def _report_interruptions(self) -> None:
        """Writes a table of interrupted jobs, and logs the number of interruptions."""
        order = sorted(self.dispatcher.interrupted.items(), key=lambda item: -len(item[1]))
        rows = [(title, len(reasons), reasons[-1]) for title, reasons in order]
        table = pd.DataFrame(rows, columns=["job", "interruptions", "last_reason"])
        path = Path(self._workflow.executor_settings.report)
        with atomic_write(path) as partial:
            table.to_csv(partial, index=False, lineterminator="\n")
        self._logger.warning(
            f"{len(table)} jobs had {table['interruptions'].sum()} interruptions, after which they "
            "resumed from their saved states. "
            f"The most frequent ({rows[0][1]}): {rows[0][0]}. All are in {path}."
        )

    def _slice_type(self, job: JobExecutorInterface) -> SliceType:
        """The slice type of a job, from its resources, the settings and the accelerator table."""
        settings, resources = self._workflow.executor_settings, job.resources
        name = resources.get("tpu_type")
        kind = accelerators().get(name)
        if kind is None or kind.kind != "tpu":
            what = f"Rule {job.name} asks for tpu_type={name}"
            raise TpuError(f"{what}, which is not a TPU in accelerators.yaml.")
        zone = resources.get("tpu_zone") or settings.zone
        spot = bool(resources.get("tpu_spot", settings.spot))
        return SliceType(
            accelerator=name,
            runtime=resources.get("tpu_runtime") or kind.runtime_version or "tpu-ubuntu2204-base",
            hosts=kind.hosts,
            chips=kind.chips,
            tier="spot" if spot else settings.reservation or "on-demand",
            zones=tuple(re.split(r"[,\s]+", zone.strip())) if zone else tuple(kind.zones),
        )


class _ForwardHandler(logging.Handler):
    """Passes messages of the library, which are warnings, to Snakemake's logger."""

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Logs a whole message, as Snakemake ignores a record's arguments."""
        self._logger.warning(record.getMessage())


def _problem(settings: "ExecutorSettings") -> str | None:
    """What is wrong with the settings."""
    if missing := [name for name in ("project", "bucket") if not getattr(settings, name)]:
        options = " and ".join(f"--tpu-vm-{name}" for name in missing)
        variables = " and ".join(f"SNAKEMAKE_TPU_VM_{name.upper()}" for name in missing)
        return (
            f"TPU slices need {options}, or the environment variable {variables}; see docs/tpu.md."
        )
    if not str(settings.bucket).startswith("gs://"):
        return f"--tpu-vm-bucket should start with gs://; it is {settings.bucket}."
    if settings.run and not re.fullmatch("[a-z][a-z0-9-]{0,19}", settings.run):
        right = "at most 20 lower-case letters, digits and dashes"
        return f"--tpu-vm-run should be {right}; it is {settings.run}."
    if settings.spot and settings.reservation:
        return "Only one of --tpu-vm-spot and --tpu-vm-reservation may be given; both are."
    return None
