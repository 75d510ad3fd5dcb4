"""The event with which a job says what it is about to compute, and on what."""

import logging

import jax

from promptscale.config.jobs import AnyJob, LanguageModelingJob, TuningJob
from promptscale.storage.events import event

log = logging.getLogger(__name__)


def announce(job: AnyJob | TuningJob | LanguageModelingJob, steps: int = 0) -> None:
    """Records the event `job`: method, size, checkpoint, names of runs, steps and devices.

    `steps` are those that the job trains; a job that only evaluates has none.
    """
    runs = [] if isinstance(job, LanguageModelingJob) else list(map(job.run_name, job.runs))
    count, devices, platform = max(len(runs), 1), jax.device_count(), jax.default_backend()
    log.info(
        "%s: %d %s, %d steps on %d %s",
        job.method, count, "run" if count == 1 else "runs", steps, devices, platform,
        extra=event(
            "job", method=job.method, size=job.size, checkpoint=job.checkpoint, runs=runs,
            steps=steps, devices=devices, platform=platform,
        ),
    )  # fmt: skip
