"""Jobs: what one process trains, with everything that its runs depend on and nothing else.

A run is one training with one seed; a job trains one or several runs that share a frozen model
and shapes. A job's JSON is what Snakemake compares, so a changed setting reruns exactly the jobs
that it touches.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

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
    Supervised,
)
from promptscale.config.sizes import ModelConfig
from promptscale.config.tasks import SUPER_GLUE
from promptscale.config.tasks import task as task_named

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


class Sequences(NamedTuple):
    """Sequences of one length that a job passes through its model; what its cost is computed from.

    Attributes:
      number: how many sequences.
      inputs: encoder positions of each, the prompt's among them.
      targets: decoder positions of each.
      gradient: what is differentiated besides: nothing, the inputs alone, or the weights too.
    """

    number: int
    inputs: int
    targets: int
    gradient: Literal["nothing", "inputs", "weights"]


class _TaskJob(Strict):
    """A job on tasks. `transfer_tasks`: further tasks that a task's runs are evaluated on."""

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
        """The job's runs, in the order in which they lie in the batch of runs."""
        return tuple(JobRun(task, seed) for task in self.tasks for seed in self.seeds)

    @property
    def train_tasks(self) -> tuple[str, ...]:
        """The tasks whose training splits are read."""
        return self.tasks

    @property
    def evaluated_tasks(self) -> tuple[str, ...]:
        """The tasks whose validation splits are read."""
        return tuple(dict.fromkeys([*self.tasks, *sum(self.transfer_tasks.values(), ())]))

    def tasks_trained_on(self, run: JobRun) -> tuple[str, ...]:
        """The tasks whose examples a run is trained on."""
        return (run.task,)

    def selecting_tasks(self, run: JobRun) -> tuple[str, ...]:
        """The tasks whose mean dev score selects a run's step."""
        return (run.task,)

    def reported_tasks(self, run: JobRun) -> tuple[str, ...]:
        """The tasks that a run's selected step is evaluated on."""
        return (*self.selecting_tasks(run), *self.transfer_tasks.get(run.task, ()))

    @property
    def predictions(self) -> int:
        """How many predictions the job leaves."""
        return sum(_dev_rows(self.reported_tasks(run)) for run in self.runs)

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


class TuningJob(_TaskJob):
    """A job that trains on tasks.

    `method` names its class in `promptscale.training.methods`; `gradient` is what its training step
    differentiates (see `Sequences`).
    """

    method: str
    settings: Supervised

    gradient: ClassVar[Literal["inputs", "weights"]] = "weights"

    @property
    def optimizers(self) -> tuple[Optimizer, ...]:
        """The settings of each run's optimiser."""
        return (self.settings.optimizer,) * len(self.runs)

    @property
    def prompt_length(self) -> int:
        """Tokens of a prompt before the inputs."""
        return 0

    @property
    def sentinel(self) -> bool:
        """Whether targets start with `<extra_id_0>` (span corruption + sentinel, section 2.2)."""
        return False

    @property
    def names_tasks(self) -> bool:
        """Whether inputs start with their task's name."""
        return False

    @property
    def trained_parameters(self) -> int:
        """Parameters that each run trains."""
        return self.architecture.num_parameters

    @property
    def saved_parameters(self) -> int:
        """Parameters that the job leaves; a tuned model leaves its predictions alone."""
        return 0

    @property
    def state_parameters(self) -> int:
        """Parameters in one resume state: each run's now and at its best step."""
        return 2 * self.trained_parameters * len(self.runs)

    @property
    def sequences(self) -> tuple[Sequences, ...]:
        """What is trained on and what is evaluated, each at its longest (an upper bound)."""
        settings, runs = self.settings, self.runs
        inputs = self.prompt_length + settings.max_input_length
        evaluations = -(-settings.steps // settings.evaluate_every)
        selecting = sum(_dev_rows(self.selecting_tasks(run)) for run in runs)
        transfer = sum(_dev_rows(self.transfer_tasks.get(run.task, ())) for run in runs)
        trained = len(runs) * settings.steps * settings.batch_size
        evaluated = evaluations * selecting + transfer
        return (
            Sequences(trained, inputs, settings.max_target_length, self.gradient),
            Sequences(evaluated, inputs, settings.max_target_length, "nothing"),
        )


class PromptTuningJob(TuningJob):
    """Prompts on one frozen model, one per task and seed, trained together.

    With `trials` the job is a part of a hyperparameter search: one prompt per trial, task and seed,
    each with its trial's optimiser.
    """

    method: Literal["prompt_tuning"] = "prompt_tuning"
    settings: PromptTuning
    trials: tuple[Optimizer, ...] = ()

    gradient: ClassVar[Literal["inputs", "weights"]] = "inputs"

    @property
    def runs(self) -> tuple[JobRun, ...]:
        """The job's runs, in the order in which they lie in the batch of runs."""
        return tuple(
            JobRun(task, seed, trial)
            for trial in range(max(len(self.trials), 1))
            for task in self.tasks
            for seed in self.seeds
        )

    @property
    def optimizers(self) -> tuple[Optimizer, ...]:
        """The settings of each run's optimiser: its trial's in a search."""
        trials = self.trials or (self.settings.optimizer,)
        return tuple(trials[run.trial] for run in self.runs)

    @property
    def prompt_length(self) -> int:
        """Tokens of a prompt before the inputs."""
        return self.settings.prompt_length

    @property
    def sentinel(self) -> bool:
        """Whether targets start with `<extra_id_0>` (span corruption + sentinel, section 2.2)."""
        return self.settings.sentinel

    @property
    def trained_parameters(self) -> int:
        """The parameters of a prompt."""
        return self.prompt_length * self.architecture.d_model

    @property
    def saved_parameters(self) -> int:
        """The parameters of all prompts."""
        return self.trained_parameters * len(self.runs)

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


class ModelTuningJob(TuningJob):
    """All weights tuned, once per task and seed."""

    method: Literal["model_tuning"] = "model_tuning"
    settings: ModelTuning

    @property
    def stem(self) -> str:
        """Method and the model that tuning starts from."""
        return f"{self.method}/{self.size}/{self.checkpoint}"


class MultitaskTuningJob(TuningJob):
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
    def names_tasks(self) -> bool:
        """Inputs start with their task's name, as one model serves all tasks."""
        return True

    def tasks_trained_on(self, run: JobRun) -> tuple[str, ...]:
        """The mixture's tasks."""
        return self.train_tasks

    def selecting_tasks(self, run: JobRun) -> tuple[str, ...]:
        """The mixture's tasks without the auxiliary ones."""
        return self.tasks

    @property
    def stem(self) -> str:
        """Method and the model that tuning starts from."""
        return f"{self.method}/{self.size}/{self.checkpoint}"


class PromptDesignJob(_TaskJob):
    """The frozen model with worked examples as its prompt; nothing is trained."""

    method: Literal["prompt_design"] = "prompt_design"
    settings: PromptDesign

    saved_parameters: ClassVar[int] = 0
    state_parameters: ClassVar[int] = 0

    @property
    def sequences(self) -> tuple[Sequences, ...]:
        """Every question after its worked examples, each of T5's 512 tokens."""
        inputs = 512 * (self.settings.shots + 1)
        return (Sequences(len(self.seeds) * _dev_rows(self.tasks), inputs, 62, "nothing"),)

    @property
    def stem(self) -> str:
        """Method, frozen model and setting."""
        return f"{self.method}/{self.size}/{self.checkpoint}/shots_{self.settings.shots}"


TuningSpecification = Annotated[
    PromptTuningJob | ModelTuningJob | MultitaskTuningJob, Field(discriminator="method")
]
AnyJob = PromptTuningJob | ModelTuningJob | MultitaskTuningJob | PromptDesignJob


class LanguageModelingJob(Strict):
    """Pre-training (`span_corruption`) or LM adaptation (`lm_<steps>`) of one size.

    Adaptation continues the next shorter adaptation, whose `first_step` steps count as done.
    """

    method: ClassVar[str] = "language_modeling"
    predictions: ClassVar[int] = 0

    size: str
    architecture: ModelConfig
    checkpoint: str
    first_step: int = 0
    seed: int = 0
    settings: LanguageModeling

    @property
    def saved_parameters(self) -> int:
        """The parameters of the checkpoint that the job leaves."""
        return self.architecture.num_parameters

    @property
    def state_parameters(self) -> int:
        """Parameters in one resume state."""
        return self.architecture.num_parameters

    @property
    def sequences(self) -> tuple[Sequences, ...]:
        """The sequences of all steps.

        Targets of prefix LM are padded to the length of the inputs. Span corruption of 512 tokens
        has 114 target tokens (T5's `random_spans_helper`).
        """
        inputs = self.settings.inputs_length
        adapts = bool(adaptation_steps(self.checkpoint))
        targets = inputs if adapts else round(inputs * 114 / 512)
        count = self.settings.steps * self.settings.batch_size
        return (Sequences(count, inputs, targets, "weights"),)


def _dev_rows(tasks: Iterable[str]) -> int:
    """Rows of the published validation splits."""
    return sum(task_named(task).published_rows("validation") for task in tasks)
