"""A Snakemake executor that runs jobs on Cloud TPU VM slices: `--executor tpu-vm`; docs/tpu.md.

A job whose rule has the resource `tpu_type` goes to a slice of that type; any other runs here. What
a slice does is in `promptscale.tpu`; this is the part that knows Snakemake. Jobs are finished in
this process, so what Snakemake remembers of them is what it remembers of local ones.
"""

import fcntl
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase

from promptscale.config.accelerators import accelerators
from promptscale.errors import PromptscaleError, TpuError
from promptscale.files import replacing
from promptscale.tpu.bucket import Bucket
from promptscale.tpu.cloud import Cloud, Shape
from promptscale.tpu.dispatcher import Dispatcher, Outcome, Work, report
from promptscale.tpu.environment import environment
from promptscale.tpu.pool import Limits
from snakemake_executor_plugin_tpu_vm.tasks import Hashes, work_of

__all__ = ["Executor", "ExecutorSettings", "common_settings"]


def _setting(default: Any, help: str, *, env_var: bool = False, metavar: str = "VALUE") -> Any:
    metadata = {"help": help, "env_var": env_var, "required": False, "metavar": metavar}
    return field(default=default, metadata=metadata)


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """`--tpu-vm-…`, or keys of a profile; the first four also SNAKEMAKE_TPU_VM_…"""

    project: str | None = _setting(None, "Google Cloud project.", env_var=True)
    bucket: str | None = _setting(
        None, "Bucket (and folder) through which jobs are sent, gs://….", env_var=True
    )
    zone: str | None = _setting(
        None,
        "Zone of the slices, or several with commas, tried in turn; those of "
        "config/accelerators.yaml if not given.",
        env_var=True,
    )
    run: str | None = _setting(
        None, "Name of this run in labels of slices; made from the folder if not given.",
        env_var=True,
    )  # fmt: skip
    spot: bool = field(
        default=False, metadata={"help": "Ask for spot slices.", "env_var": False}
    )
    reservation: str | None = _setting(None, "Take slices from this reservation.")
    lock: Path | None = _setting(
        None, "Lock that hosts are set up from; envs/tpu.lock beside the Snakefile if not given."
    )
    idle_timeout: float = _setting(600.0, "Seconds that a slice without work is kept.")
    startup_timeout: float = _setting(1800.0, "Seconds that an active slice may take to set up.")
    host_timeout: float = _setting(180.0, "Seconds without a sign after which a host is lost.")
    queue_timeout: float = _setting(
        86400.0, "Seconds in the queue after which a slice is asked for in the next zone."
    )
    max_preemptions: int = _setting(20, "Interruptions after which a job fails.")
    beat: float = _setting(10.0, "Seconds between the signs that a host gives.")
    report: Path = _setting(
        Path("results/logs/interruptions.csv"), "Where the interruptions of each job are counted."
    )
    endpoint: str | None = _setting(None, "Another address of the Cloud TPU API, for tests.")


common_settings = CommonSettings(
    non_local_exec=True,
    # Outputs are brought to this disk before a job counts as finished.
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_default_storage_provider_args=False,
    pass_default_resources_args=False,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=0,
)


class Executor(RemoteExecutor):
    """Sends jobs with `tpu_type` to slices and runs the others here, as many as there are cores."""

    def __post_init__(self) -> None:
        """Looks at the settings; nothing is asked of the cloud before the first job."""
        settings = self.workflow.executor_settings
        if missing := [name for name in ("project", "bucket") if not getattr(settings, name)]:
            options = " and ".join(f"--tpu-vm-{name}" for name in missing)
            raise WorkflowError(
                f"TPU slices need {options}, on the command line or as "
                + " and ".join(f"SNAKEMAKE_TPU_VM_{name.upper()}" for name in missing)
                + "; docs/tpu.md says what they are."
            )
        if settings.spot and settings.reservation:
            raise WorkflowError("Slices are either spot or of a reservation; both were asked for.")
        self._lock_folder()
        run = settings.run or _run_name()
        lock = settings.lock or Path(self.workflow.main_snakefile).parent / "envs/tpu.lock"
        # A cap that is given to Snakemake holds for slices without work, too.
        chips = self.workflow.global_resources["tpu_chips"].value
        limits = Limits(
            idle=settings.idle_timeout,
            startup=settings.startup_timeout,
            silence=settings.host_timeout,
            queue=settings.queue_timeout,
            **({} if chips is None else {"chips": chips}),
        )
        try:
            self._dispatcher = Dispatcher(
                Cloud(settings.project, settings.endpoint),
                Bucket(f"{settings.bucket.rstrip('/')}/{run}"),
                environment(Path(lock)),
                run,
                limits,
                settings.beat,
                settings.max_preemptions,
            )
        except PromptscaleError as error:
            raise WorkflowError(str(error)) from None
        self._infos: dict[Work, SubmittedJobInfo] = {}
        self._works: dict[JobExecutorInterface, Work] = {}
        self._hashes = Hashes()
        local = ExecutorPluginRegistry().get_plugin("local")
        self._here = local.executor(self.workflow, self.logger)
        self._queued_here: list[JobExecutorInterface] = []
        self._running_here: dict[JobExecutorInterface, int] = {}

    def run_job(self, job: JobExecutorInterface) -> None:
        """Takes a job on; it goes to a slice in the next cycle."""
        if not job.resources.get("tpu_type"):
            self._queued_here.append(job)
            self._run_here()
            return
        info = SubmittedJobInfo(job=job)
        try:
            self.workflow.async_run(job.prepare())
            work = work_of(job, self.workflow.config, self._shape(job), self._hashes)
        except (PromptscaleError, OSError) as error:
            self.report_job_error(info, msg=f"{error}\n")
            return
        self._infos[work], self._works[job] = info, work
        self._dispatcher.add(work)
        self.report_job_submission(info)

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncIterator[SubmittedJobInfo]:
        """One cycle of the dispatcher for all jobs."""
        ended = set()
        for outcome in self._dispatcher.cycle():
            info = self._infos.pop(outcome.work)
            ended.add(id(info))
            self._report(outcome, info)
        for info in active_jobs:
            # A job that is submitted during a cycle is not in this list, but may have ended.
            if id(info) not in ended and self._works.get(info.job) in self._infos:
                yield info

    def _report(self, outcome: Outcome, info: SubmittedJobInfo) -> None:
        if outcome.error is None:
            self.report_job_success(info)
        else:
            self.report_job_error(info, msg=outcome.error)

    def handle_job_success(self, job: JobExecutorInterface) -> None:
        """Called once Snakemake has made sure of a job's outputs and written down what they are."""
        self._ended_here(job)
        if work := self._works.pop(job, None):
            self._dispatcher.forget(work)

    def handle_job_error(self, job: JobExecutorInterface) -> None:
        """Called for a failed job, which Snakemake may submit again."""
        self._ended_here(job)
        self._works.pop(job, None)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Nothing to do for a job alone: all slices are deleted when the executor shuts down."""

    def shutdown(self) -> None:
        """Waits for the cycle that is going on and deletes all slices."""
        super().shutdown()
        self._here.shutdown()
        try:
            self._dispatcher.close()
        except TpuError as error:
            self.logger.error(str(error))
        self._tell()

    def cancel(self) -> None:
        """On Ctrl-C and on errors of Snakemake's own."""
        self._queued_here.clear()
        self.shutdown()

    def _tell(self) -> None:
        """Says how often jobs were interrupted, if any was."""
        rows = list(report(self._dispatcher.interrupted))
        if not rows:
            return
        path = self.workflow.executor_settings.report
        with replacing(Path(path)) as partial:
            lines = [f'"{job}",{count},"{reason}"\n' for job, count, reason in rows]
            partial.write_text("job,interruptions,last_reason\n" + "".join(lines))
        total = sum(count for _, count, _ in rows)
        self.logger.warning(
            f"{total} interruptions of {len(rows)} jobs, which went on from their saved states; "
            f"most often ({rows[0][1]}): {rows[0][0]}. All: {path}"
        )

    def _shape(self, job: JobExecutorInterface) -> Shape:
        """The slice that a job asks for: by its resources, else by settings and the table."""
        settings, resources = self.workflow.executor_settings, job.resources
        kind = resources.get("tpu_type")
        found = accelerators().get(kind)
        if found is None or found.kind != "tpu":
            raise TpuError(
                f"Rule {job.name} asks for tpu_type={kind}, which config/accelerators.yaml does "
                "not know as a TPU."
            )
        zone = resources.get("tpu_zone") or settings.zone
        spot = bool(resources.get("tpu_spot", settings.spot))
        return Shape(
            accelerator=kind,
            runtime=resources.get("tpu_runtime") or found.runtime_version,
            hosts=found.hosts,
            chips=found.chips,
            tier="spot" if spot else settings.reservation or "on-demand",
            zones=tuple(zone.split(",")) if zone else tuple(found.zones),
        )

    def _run_here(self) -> None:
        """Starts jobs that need no TPU while there are cores; Snakemake counts none for us."""
        cores = self.workflow.resource_settings.cores or os.cpu_count() or 1
        while self._queued_here:
            threads = min(self._queued_here[0].threads, cores)
            if sum(self._running_here.values()) + threads > cores:
                return
            job = self._queued_here.pop(0)
            self._running_here[job] = threads
            self._here.run_job(job)

    def _ended_here(self, job: JobExecutorInterface) -> None:
        if self._running_here.pop(job, None) is not None:
            self._run_here()

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


def _run_name() -> str:
    """Names the run by the machine and folder that it is controlled from."""
    place = f"{socket.gethostname()}:{Path.cwd()}"
    return f"ps{hashlib.sha256(place.encode()).hexdigest()[:8]}"
