"""A Snakemake executor that runs jobs on Cloud TPU VM slices: `--executor tpu-vm` (docs/tpu.md).

Snakemake imports all executors at every start. For this reason the packages that this executor
needs are imported in `controller`, which is imported only when the executor is used.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase


def _setting(default: Any, help: str, *, env_var: bool = False) -> Any:
    metadata = {"help": help, "env_var": env_var, "required": False, "metavar": "VALUE"}
    return field(default=default, metadata=metadata)


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Options `--tpu-vm-…` or keys of a profile; the first four also SNAKEMAKE_TPU_VM_…"""

    project: Optional[str] = _setting(None, "Google Cloud project.", env_var=True)
    bucket: Optional[str] = _setting(
        None, "Bucket, or folder in it, that jobs are sent through: gs://….", env_var=True
    )
    zone: Optional[str] = _setting(
        None,
        "Zones of the slices, separated by commas and tried in turn; by default those in "
        "accelerators.yaml.",
        env_var=True,
    )
    run: Optional[str] = _setting(
        None, "Name of this run in the labels of slices; by default a hash of the folder.",
        env_var=True,
    )  # fmt: skip
    spot: bool = field(default=False, metadata={"help": "Request spot slices.", "env_var": False})
    reservation: Optional[str] = _setting(None, "Request slices of this reservation.")
    lock: Optional[Path] = _setting(
        None, "Lock file that hosts install; by default envs/tpu.lock beside the Snakefile."
    )
    idle_timeout: float = _setting(600.0, "Seconds until a slice without a job is deleted.")
    startup_timeout: float = _setting(1800.0, "Seconds in which an active slice must start.")
    host_timeout: float = _setting(180.0, "Seconds without a heartbeat after which a host is lost.")
    queue_timeout: float = _setting(
        86400.0, "Seconds in the queue after which a slice is requested in the next zone."
    )
    max_preemptions: int = _setting(20, "Interruptions after which a job fails.")
    heartbeat: float = _setting(10.0, "Seconds between two heartbeats of a host.")
    report: Path = _setting(
        Path("results/logs/interruptions.csv"),
        "CSV file with the number of interruptions of each job.",
    )
    endpoint: Optional[str] = _setting(None, "Address of the Cloud TPU API, for tests.")


common_settings = CommonSettings(
    non_local_exec=True,
    # Outputs are downloaded before a job counts as finished.
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_default_storage_provider_args=False,
    pass_default_resources_args=False,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=0,
)


class Executor(RemoteExecutor):
    """The interface to Snakemake; `controller.Controller` does the work."""

    _controller: Any = None  # a `Controller` after `__post_init__`

    def __post_init__(self) -> None:
        """Checks the settings; nothing is requested before the first job."""
        from snakemake_executor_plugin_tpu_vm.controller import Controller

        self._controller = Controller(self)

    def run_job(self, job: JobExecutorInterface) -> None:
        """Submits a job, which the next cycle assigns to a slice."""
        self._controller.run(job)

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncIterator[SubmittedJobInfo]:
        """Runs a cycle for all jobs; yields the jobs that have not ended."""
        if self._controller:  # the base class calls this before __post_init__
            for info in self._controller.cycle(active_jobs):
                yield info

    async def sleep(self) -> None:
        """Waits for a heartbeat; for at most a second while there are no slices."""
        heartbeat = self.workflow.executor_settings.heartbeat
        has_slices = self._controller and self._controller.dispatcher.pool.slices
        await asyncio.sleep(heartbeat if has_slices else min(1.0, heartbeat))

    def print_job_error(
        self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any
    ) -> None:
        """Reports the message; unlike the base class it names no file of an external job."""
        job_info.job.log_error(msg, **kwargs)

    def handle_job_success(self, job: JobExecutorInterface) -> None:
        """Finishes a job; Snakemake has checked its outputs and recorded their metadata."""
        self._controller.finish(job)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Does nothing: `shutdown` deletes all slices."""

    def shutdown(self) -> None:
        """Waits for the end of the current cycle, then deletes all slices."""
        super().shutdown()
        if self._controller:
            self._controller.close()
