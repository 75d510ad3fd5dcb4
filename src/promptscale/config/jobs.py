"""Jobs: what one process trains, with everything that its runs depend on and nothing else.

A run is one training with one seed; a job trains one or several runs that share a frozen model
and shapes. A job's JSON is what Snakemake compares, so a changed setting reruns exactly the jobs
that it touches.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from promptscale.config.schema import (
    Evaluation,
    LanguageModeling,
    ModelTuning,
    MultitaskTuning,
    Optimizer,
    PromptDesign,
    PromptTuning,
    Strict,
)
from promptscale.config.sizes import ModelConfig
from promptscale.config.tasks import SUPER_GLUE

MIXTURE = "superglue"  # the eight tasks together, as multi-task runs are trained on them


def adaptation_steps(checkpoint: str) -> int:
    """Steps of LM adaptation behind a frozen model's name (`lm_<steps>`; 0: span corruption)."""
    return int(checkpoint.removeprefix("lm_")) if checkpoint.startswith("lm_") else 0


def checkpoint_name(steps: int) -> str:
    """The name of the frozen model after so many steps of LM adaptation."""
    return f"lm_{steps}" if steps else "span_corruption"


class JobRun(NamedTuple):
    """One of a job's runs."""

    task: str
    seed: int
    trial: int = 0  # of a hyperparameter search


class _TuningJob(Strict):
    """What all jobs share. `transfer_tasks`: further tasks that a task's runs are evaluated on."""

    world: str
    size: str
    architecture: ModelConfig
    checkpoint: str
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    transfer_tasks: Mapping[str, tuple[str, ...]] = Field(default={})
    evaluation: Evaluation

    @property
    def runs(self) -> tuple[JobRun, ...]:
        """The job's runs, in the order in which they lie in the train_state."""
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
    @abstractmethod
    def stem(self) -> str:
        """The part of names that the job's runs share."""

    @property
    def name(self) -> str:
        """The job's folder below `runs/`."""
        seeds = "-".join(map(str, self.seeds))
        tasks = MIXTURE if self.tasks == SUPER_GLUE else "+".join(self.tasks)
        return f"{self.stem}/{tasks}/seeds_{seeds}"

    @property
    def description(self) -> dict[str, Any]:
        """The columns of `runs.csv` that all of the job's runs share."""
        steps = adaptation_steps(self.checkpoint)
        return {
            "method": self.stem.split("/")[0],
            "size": self.size,
            "checkpoint": self.checkpoint,
            "objective": "lm_adaptation" if steps else "span_corruption",
            "adaptation_steps": steps,
            "prompt_length": 0,
            "initialization": "",
            "world": self.world,
        }

    def run_name(self, run: JobRun) -> str:
        """The name of a run in `runs.csv`, the same however runs are grouped into jobs."""
        return f"{self.stem}/{run.task}/seed_{run.seed}"


class PromptTuningJob(_TuningJob):
    """Prompts on one frozen model, one per task and seed, trained together.

    With `trials`, a part of a hyperparameter search: one prompt per trial, task and seed, each with
    its trial's optimiser.
    """

    method: Literal["prompt_tuning"] = "prompt_tuning"
    settings: PromptTuning
    trials: tuple[Optimizer, ...] = ()

    @property
    def runs(self) -> tuple[JobRun, ...]:
        """The job's runs, in the order in which they lie in the train_state."""
        return tuple(
            JobRun(task, seed, trial)
            for trial in range(max(len(self.trials), 1))
            for task in self.tasks
            for seed in self.seeds
        )

    @property
    def stem(self) -> str:
        """Method, frozen model and setting."""
        settings = self.settings
        if self.trials:
            part = f"batch_{settings.batch_size}-steps_{settings.steps}"
            return f"hyperparameter_search/{self.size}/{self.checkpoint}/{part}"
        setting = f"length_{settings.prompt_length}-{settings.initialization.method}"
        setting += "-sentinel" if settings.sentinel else ""
        return f"{self.method}/{self.size}/{self.checkpoint}/{setting}"

    @property
    def description(self) -> dict[str, Any]:
        """As for all jobs, with the setting of the prompts."""
        found = super().description
        found["objective"] += "_sentinel" if self.settings.sentinel else ""
        return found | {
            "method": self.method,
            "prompt_length": self.settings.prompt_length,
            "initialization": self.settings.initialization.method,
        }

    def run_name(self, run: JobRun) -> str:
        """As for all jobs, with the trial where there are several."""
        trial = f"/trial_{run.trial}" if self.trials else ""
        return f"{self.stem}{trial}/{run.task}/seed_{run.seed}"


class ModelTuningJob(_TuningJob):
    """All weights tuned, once per task and seed."""

    method: Literal["model_tuning"] = "model_tuning"
    settings: ModelTuning

    @property
    def stem(self) -> str:
        """Method and the model that tuning starts from."""
        return f"{self.method}/{self.size}/{self.checkpoint}"


class MultitaskTuningJob(_TuningJob):
    """All weights tuned on a mixture of tasks, once per seed, and evaluated on each of `tasks`."""

    method: Literal["model_tuning_multitask"] = "model_tuning_multitask"
    settings: MultitaskTuning

    @property
    def runs(self) -> tuple[JobRun, ...]:
        """One run per seed, on the mixture."""
        return tuple(JobRun(MIXTURE, seed) for seed in self.seeds)

    @property
    def train_tasks(self) -> tuple[str, ...]:
        """The mixture's tasks."""
        return tuple(dict.fromkeys([*self.tasks, *self.settings.auxiliary]))

    @property
    def stem(self) -> str:
        """Method and the model that tuning starts from."""
        return f"{self.method}/{self.size}/{self.checkpoint}"


class PromptDesignJob(_TuningJob):
    """The frozen model with worked examples as its prompt; nothing is trained."""

    method: Literal["prompt_design"] = "prompt_design"
    settings: PromptDesign

    @property
    def stem(self) -> str:
        """Method, frozen model and setting."""
        return f"{self.method}/{self.size}/{self.checkpoint}/shots_{self.settings.shots}"


TuningJob = Annotated[
    PromptTuningJob | ModelTuningJob | MultitaskTuningJob, Field(discriminator="method")
]
AnyJob = PromptTuningJob | ModelTuningJob | MultitaskTuningJob | PromptDesignJob


class LanguageModelingJob(Strict):
    """Pre-training (`span_corruption`) or LM adaptation (`lm_<steps>`) of one size.

    Adaptation continues the next shorter one, whose `first_step` steps count as done.
    """

    size: str
    architecture: ModelConfig
    checkpoint: str
    first_step: int = 0
    seed: int = 0
    settings: LanguageModeling
