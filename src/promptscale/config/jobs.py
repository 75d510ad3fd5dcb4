"""Jobs: what a process trains, with everything that its runs depend on and nothing else.

A run is a training with a seed; a job trains a run, or several that share a checkpoint and shapes.
Snakemake compares the JSON of jobs, so a changed setting reruns exactly the jobs that use it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from promptscale.config.axes import Setting, describe, setting_name
from promptscale.config.settings import (
    EvaluationSettings,
    Label,
    LanguageModeling,
    ModelTuning,
    MultitaskTuning,
    Optimizer,
    Origin,
    PromptDesign,
    PromptTuning,
    Strict,
)
from promptscale.config.sizes import ModelConfig
from promptscale.config.tasks import SUPER_GLUE

MIXTURE = "superglue"  # the eight tasks together, as multi-task runs are trained on them


class JobRun(NamedTuple):
    """A run of a job."""

    task: str
    seed: int
    trial: int = 0  # of a hyperparameter search


class _TuningJob(Strict):
    """The fields of all jobs. `transfer_tasks`: further tasks that evaluate the runs of a task."""

    method: str
    origin: Origin
    label: Label
    size: str
    architecture: ModelConfig
    checkpoint: str
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    transfer_tasks: Mapping[str, tuple[str, ...]] = Field(default={})
    evaluation: EvaluationSettings

    @property
    def runs(self) -> tuple[JobRun, ...]:
        """The job's runs, in the order of the train state's leading axis."""
        return tuple(JobRun(task, seed) for task in self.tasks for seed in self.seeds)

    @property
    def train_tasks(self) -> tuple[str, ...]:
        """The tasks whose training splits are read."""
        return self.tasks

    @property
    def evaluated_tasks(self) -> tuple[str, ...]:
        """The tasks whose validation splits are read."""
        return tuple(dict.fromkeys([*self.tasks, *sum(self.transfer_tasks.values(), ())]))

    @property
    def prompts(self) -> PromptTuning | None:
        """The settings of the prompts that the job tunes; None: it tunes no prompts."""
        return None

    @property
    def stem(self) -> str:
        """The part of names that the job's runs share: method, size, checkpoint, setting."""
        return f"{self.method}/{self.size}/{self.checkpoint}"

    @property
    def name(self) -> str:
        """The job's folder below `runs/`."""
        seeds = "-".join(map(str, self.seeds))
        tasks = MIXTURE if self.tasks == SUPER_GLUE else "+".join(self.tasks)
        return f"{self.stem}/{tasks}/seeds_{seeds}"

    @property
    def description(self) -> dict[str, Any]:
        """The columns of `runs.csv` that all of the job's runs share."""
        return {
            "method": self.method,
            "size": self.size,
            "checkpoint": self.checkpoint,
            **describe(Setting(self.checkpoint, self.prompts)),
            "origin": self.origin,
            "label": self.label,
        }

    def run_name(self, run: JobRun) -> str:
        """The name of a run in `runs.csv`, the same however runs are grouped into jobs."""
        return f"{self.stem}/{run.task}/seed_{run.seed}"


class PromptTuningJob(_TuningJob):
    """Prompts on a checkpoint, a prompt per task and seed, trained together.

    With `trials`, a part of a hyperparameter search: a prompt per trial, task and seed, with the
    optimiser of its trial. `variant` is the part of the runs' names that shows the axes of the
    ablations beyond the paper's (`axes.variant_name`).
    """

    method: Literal["prompt_tuning"] = "prompt_tuning"
    settings: PromptTuning
    variant: str = ""
    trials: tuple[Optimizer, ...] = ()

    @property
    def runs(self) -> tuple[JobRun, ...]:
        """The job's runs, in the order of the train state's leading axis."""
        return tuple(
            JobRun(task, seed, trial)
            for trial in range(max(len(self.trials), 1))
            for task in self.tasks
            for seed in self.seeds
        )

    @property
    def stem(self) -> str:
        """The part of names that the job's runs share: method, size, checkpoint, setting."""
        settings = self.settings
        if self.trials:
            part = f"batch_{settings.batch_size}-steps_{settings.steps}"
            return f"hyperparameter_search/{self.size}/{self.checkpoint}/{part}"
        setting = setting_name(Setting(self.checkpoint, settings)) + self.variant
        return f"{super().stem}/{setting}"

    @property
    def prompts(self) -> PromptTuning:
        """The settings of the prompts that the job tunes."""
        return self.settings

    def run_name(self, run: JobRun) -> str:
        """The name of a run in `runs.csv`, or of a trial's run in a hyperparameter search."""
        trial = f"/trial_{run.trial}" if self.trials else ""
        return f"{self.stem}{trial}/{run.task}/seed_{run.seed}"


class ModelTuningJob(_TuningJob):
    """All weights tuned, a run per task and seed."""

    method: Literal["model_tuning"] = "model_tuning"
    settings: ModelTuning


class MultitaskTuningJob(_TuningJob):
    """All weights tuned on a mixture of tasks, a run per seed, evaluated on each of `tasks`."""

    method: Literal["model_tuning_multitask"] = "model_tuning_multitask"
    settings: MultitaskTuning

    @property
    def runs(self) -> tuple[JobRun, ...]:
        """The job's runs: a run on the mixture per seed."""
        return tuple(JobRun(MIXTURE, seed) for seed in self.seeds)

    @property
    def train_tasks(self) -> tuple[str, ...]:
        """The mixture's tasks."""
        return tuple(dict.fromkeys([*self.tasks, *self.settings.auxiliary]))


class PromptDesignJob(_TuningJob):
    """The model with worked examples as its prompt; nothing is trained."""

    method: Literal["prompt_design"] = "prompt_design"
    settings: PromptDesign

    @property
    def stem(self) -> str:
        """The part of names that the job's runs share: method, size, checkpoint, shots."""
        return f"{super().stem}/shots_{self.settings.shots}"


TuningJob = Annotated[
    PromptTuningJob | ModelTuningJob | MultitaskTuningJob, Field(discriminator="method")
]
AnyJob = PromptTuningJob | ModelTuningJob | MultitaskTuningJob | PromptDesignJob


class LanguageModelingJob(Strict):
    """Pre-training (`span_corruption`) or LM adaptation (`lm_<steps>`) of a size.

    An adaptation continues the next shorter adaptation, which ended at `first_step`.
    """

    size: str
    architecture: ModelConfig
    checkpoint: str
    first_step: int = 0
    seed: int = 0
    settings: LanguageModeling
