"""A Snakemake executor that runs jobs on Cloud TPU VM slices: `--executor tpu-vm`; docs/tpu.md.

Snakemake imports every executor whenever it starts, so what this one needs is imported when it is
used (`controller`).
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase

if TYPE_CHECKING:
    from snakemake_executor_plugin_tpu_vm.controller import Controller


def _setting(default: Any, help: str, *, env_var: bool = False, metavar: str = "VALUE") -> Any:
    metadata = {"help": help, "env_var": env_var, "required": False, "metavar": metavar}
    return field(default=default, metadata=metadata)


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """`--tpu-vm-…`, or keys of a profile; the first four also SNAKEMAKE_TPU_VM_…"""

    project: Optional[str] = _setting(None, "Google Cloud project.", env_var=True)
    bucket: Optional[str] = _setting(
        None, "Bucket (and folder) through which jobs are sent, gs://….", env_var=True
    )
    zone: Optional[str] = _setting(
        None,
        "Zone of the slices, or several with commas, tried in turn; those of "
        "accelerators.yaml if not given.",
        env_var=True,
    )
    run: Optional[str] = _setting(
        None, "Name of this run in labels of slices; made from the folder if not given.",
        env_var=True,
    )  # fmt: skip
    spot: bool = field(default=False, metadata={"help": "Ask for spot slices.", "env_var": False})
    reservation: Optional[str] = _setting(None, "Take slices from this reservation.")
    lock: Optional[Path] = _setting(
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
    endpoint: Optional[str] = _setting(None, "Another address of the Cloud TPU API, for tests.")


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
    """What Snakemake calls; `controller.Controller` says what is done."""

    _controller: "Controller | None" = None

    def __post_init__(self) -> None:
        """Looks at the settings; nothing is asked of the cloud before the first job."""
        from snakemake_executor_plugin_tpu_vm.controller import Controller

        self._controller = Controller(self)

    def run_job(self, job: JobExecutorInterface) -> None:
        """Takes a job on; it goes to a slice in the next cycle."""
        assert self._controller is not None
        self._controller.run(job)

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncIterator[SubmittedJobInfo]:
        """One cycle for all jobs; those that have not ended are given back."""
        if self._controller is not None:  # the base class looks before all is set up
            on_their_way = self._controller.cycle()
            for info in active_jobs:
                if id(info) in on_their_way:
                    yield info

    async def sleep(self) -> None:
        """Until the hosts have something new to tell; before there are any, for a moment."""
        beat = self.workflow.executor_settings.beat
        begun = self._controller is not None and self._controller.begun
        await asyncio.sleep(beat if begun else min(1.0, beat))

    def print_job_error(
        self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any
    ) -> None:
        """Says what is known; there is no other log to point to, as the base class does."""
        job_info.job.log_error(msg, **kwargs)

    def handle_job_success(self, job: JobExecutorInterface) -> None:
        """Called once Snakemake has made sure of a job's outputs and written down what they are."""
        assert self._controller is not None
        self._controller.ended(job, success=True)

    def handle_job_error(self, job: JobExecutorInterface) -> None:
        """Called for a failed job, which Snakemake may submit again."""
        assert self._controller is not None
        self._controller.ended(job, success=False)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Nothing to do for a job alone: all slices are deleted when the executor shuts down."""

    def shutdown(self) -> None:
        """Waits for the cycle that is going on and deletes all slices."""
        super().shutdown()
        if self._controller is not None:
            self._controller.close()
