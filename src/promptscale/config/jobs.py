"""Jobs: what a process trains, with everything that its runs depend on and nothing else.

A run is a training with a seed; a job trains a run, or several that share a checkpoint and shapes.
Snakemake compares the JSON of jobs, so a changed setting reruns exactly the jobs that use it.
A job also counts what its method costs: the sequences that pass through the model, and parameters.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from promptscale.config.axes import Setting, adaptation_steps, describe, setting_name, unseeded_name
from promptscale.config.job_names import joined, tasks_name
from promptscale.config.lengths import Lengths, lengths
from promptscale.config.sequences import (
    Gradient,
    Sequences,
    after,
    examples_per_row,
    prefix_lm,
    span_corruption,
)
from promptscale.config.settings import (
    EvaluationSettings,
    LanguageModeling,
    ModelTuning,
    MultitaskTuning,
    Optimizer,
    Origin,
    PromptDesign,
    PromptTuning,
    Supervised,
)
from promptscale.config.sizes import ModelConfig
from promptscale.config.tasks import Task
from promptscale.config.tasks import task as task_named
from promptscale.config.values import Label, Strict

_NAME_TOKENS = 5  # of a task's name in T5's text, at most
_SEPARATOR_TOKENS = 2  # generated after the answer to a text prompt: a separator, and a next word


class JobRun(NamedTuple):
    """A run of a job."""

    task: str
    seed: int
    trial: int = 0  # of a hyperparameter search


class Trial(Strict):
    """A trial of a hyperparameter search: its number, from 0, and its optimiser."""

    number: int
    optimizer: Optimizer


class _TaskJob(Strict):
    """The fields of jobs on tasks.

    `transfer_tasks`: further tasks that evaluate a task's runs. `definitions`: the tasks that
    tasks.yaml lacks, by name.
    """

    method: str
    origin: Origin
    label: Label
    size: str
    architecture: ModelConfig
    checkpoint: str
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    pretraining_seed: int = 0  # of the model that the runs start from
    transfer_tasks: Mapping[str, tuple[str, ...]] = Field(default={})
    definitions: Mapping[str, Task] = Field(default={})
    evaluation: EvaluationSettings

    @property
    def runs(self) -> tuple[JobRun, ...]:
        """The job's runs, in the order of the train state's leading axis."""
        return tuple(JobRun(task, seed) for task in self.tasks for seed in self.seeds)

    def task(self, name: str) -> Task:
        """The task called `name`; ConfigError if there is none."""
        return self.definitions.get(name) or task_named(name)

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
    def prompts(self) -> PromptTuning | None:
        """The settings of the prompts that the job tunes; None: it tunes no prompts."""
        return None

    @property
    def predictions(self) -> int:
        """The number of predictions that the job leaves."""
        tasks = (task for run in self.runs for task in self.reported_tasks(run))
        return sum(self.lengths(task, "validation").examples for task in tasks)

    def lengths(self, task: str, split: str) -> Lengths:
        """The lengths of the examples of a task's split; all generated tasks are much alike."""
        return lengths("generated" if self.origin == "generated" else task, split)

    @property
    def stem(self) -> str:
        """The part of names that the job's runs share: method, size, checkpoint, setting."""
        return f"{self.method}/{self.size}/{self.checkpoint}"

    @property
    def name(self) -> str:
        """The job's folder below `runs/`."""
        return f"{self.stem}/{tasks_name(self.tasks)}/seeds_{joined('-', self.seeds)}"

    @property
    def description(self) -> dict[str, Any]:
        """The columns of `runs.csv` that all of the job's runs share."""
        return {
            "method": self.method,
            "size": self.size,
            "checkpoint": unseeded_name(self.checkpoint),
            "pretraining_seed": self.pretraining_seed,
            **describe(Setting(self.checkpoint, self.prompts)),
            "origin": self.origin,
            "label": self.label,
        }

    def run_name(self, run: JobRun) -> str:
        """The name of a run in `runs.csv`, the same however runs are grouped into jobs."""
        return f"{self.stem}/{run.task}/seed_{run.seed}"


class TuningJob(_TaskJob):
    """A job that trains on tasks; `method` names its class in `promptscale.training.methods`.

    With `trials`, a part of a hyperparameter search: a run per trial, task and seed, with the
    optimiser of its trial.
    """

    settings: Supervised
    trials: tuple[Trial, ...] = ()
    gradient: ClassVar[Gradient] = "weights"  # of a training step
    names_tasks: ClassVar[bool] = False  # inputs start with their task's name
    saved_parameters: ClassVar[int] = 0  # a tuned model leaves its predictions alone

    @property
    def runs(self) -> tuple[JobRun, ...]:
        """The job's runs, in the order of the train state's leading axis."""
        runs, numbers = super().runs, [trial.number for trial in self.trials] or [0]
        return tuple(run._replace(trial=number) for number in numbers for run in runs)

    @property
    def stem(self) -> str:
        """The part of names that the job's runs share: method, size, checkpoint, trials."""
        if not self.trials:
            return super().stem
        numbers = joined("-", (trial.number for trial in self.trials))
        return f"hyperparameter_search/{super().stem}/trials_{numbers}"

    def run_name(self, run: JobRun) -> str:
        """The name of a run in `runs.csv`, or of a trial's run in a hyperparameter search."""
        trial = f"/trial_{run.trial}" if self.trials else ""
        return f"{self.stem}{trial}/{run.task}/seed_{run.seed}"

    @property
    def prompt_length(self) -> int:
        """The tokens of a prompt before the inputs."""
        return self.prompts.prompt_length if self.prompts else 0

    @property
    def sentinel(self) -> bool:
        """Whether targets start with `<extra_id_0>` (section 2.2)."""
        return self.prompts is not None and self.prompts.sentinel

    @property
    def packs(self) -> bool:
        """Whether a batch has as many examples as its rows hold when they are packed."""
        return isinstance(self.settings, ModelTuning) and self.settings.pack

    def max_target_length(self, run: JobRun) -> int:
        """The length that a run's training targets are cut to."""
        limits = (self.task(task).max_target_length for task in self.tasks_trained_on(run))
        return self.settings.max_target_length or max(limits)

    @property
    def optimizers(self) -> tuple[Optimizer, ...]:
        """The settings of each run's optimiser."""
        of_trials = {trial.number: trial.optimizer for trial in self.trials}
        return tuple(of_trials.get(run.trial, self.settings.optimizer) for run in self.runs)

    @property
    def trained_parameters(self) -> int:
        """The number of parameters that each run trains."""
        return self.architecture.num_parameters

    @property
    def state_parameters(self) -> int:
        """The number of parameters in a resume state: each run's now and at its best step."""
        return 2 * self.trained_parameters * len(self.runs)

    @property
    def sequences(self) -> tuple[Sequences, ...]:
        """What is trained on and what is evaluated, by the lengths of the data.

        Inputs are cut in training alone. A mixture draws from its tasks in proportion to their
        numbers of examples. Every dev example is answered with as many tokens as the longest
        target has.
        """
        settings, sentinel = self.settings, int(self.sentinel)
        evaluations = -(-settings.steps // settings.evaluate_every)
        prefix = _NAME_TOKENS if self.names_tasks else 0
        answered: Counter[str] = Counter()  # times that a task's dev set is answered
        trained: dict[tuple[str, float], float] = defaultdict(float)  # by task and target length
        inputs: dict[str, tuple[float, ...]] = {}
        for run in self.runs:
            tasks = self.tasks_trained_on(run)
            longest, longest_target = settings.max_input_length, self.max_target_length(run)
            splits = [self.lengths(task, "train") for task in tasks]
            mixture = tuple(
                (
                    split.examples / sum(other.examples for other in splits),
                    tuple(float(min(prefix + tokens, longest)) for tokens in split.inputs),
                    float(min(sentinel + split.target, longest_target)),
                )
                for split in splits
            )
            examples = float(settings.steps * settings.batch_size)
            if self.packs:
                examples *= examples_per_row(mixture, longest, longest_target)
            for task, (share, inputs[task], target) in zip(tasks, mixture, strict=True):
                trained[task, target] += examples * share
            answered.update(dict.fromkeys(self.selecting_tasks(run), evaluations))
            answered.update(self.transfer_tasks.get(run.task, ()))
        sequences = [
            Sequences(number, after(self.prompt_length, inputs[task]), target, self.gradient)
            for (task, target), number in trained.items()
        ]
        for task, times in answered.items():
            split = self.lengths(task, "validation")
            number, target = times * split.examples, sentinel + split.longest_target
            before = after(self.prompt_length + prefix, split.inputs)
            sequences.append(Sequences(number, before, target, "nothing"))
        return tuple(sequences)


class PromptTuningJob(TuningJob):
    """Prompts on a checkpoint, a prompt per task and seed, trained together.

    `variant` is the part of the runs' names that shows the axes of the ablations beyond the paper's
    (`axes.variant_name`).
    """

    method: Literal["prompt_tuning"] = "prompt_tuning"
    settings: PromptTuning
    variant: str = ""
    gradient: ClassVar[Gradient] = "inputs"

    @property
    def prompts(self) -> PromptTuning:
        """The settings of the prompts that the job tunes."""
        return self.settings

    @property
    def trained_parameters(self) -> int:
        """The number of parameters of a prompt."""
        return self.prompt_length * self.architecture.d_model

    @property
    def saved_parameters(self) -> int:  # type: ignore[override]
        """The number of parameters of all prompts."""
        return self.trained_parameters * len(self.runs)

    @property
    def stem(self) -> str:
        """The part of names that the job's runs share: method, size, checkpoint, setting."""
        setting = setting_name(Setting(self.checkpoint, self.settings)) + self.variant
        return super().stem if self.trials else f"{super().stem}/{setting}"


class ModelTuningJob(TuningJob):
    """All weights tuned, a run per task and seed."""

    method: Literal["model_tuning"] = "model_tuning"
    settings: ModelTuning


class MultitaskTuningJob(TuningJob):
    """All weights tuned on a mixture of tasks, a run per seed, evaluated on each of `tasks`."""

    method: Literal["model_tuning_multitask"] = "model_tuning_multitask"
    settings: MultitaskTuning
    names_tasks: ClassVar[bool] = True

    @property
    def runs(self) -> tuple[JobRun, ...]:
        """The job's runs: a run on the mixture per seed."""
        return tuple(JobRun(tasks_name(self.tasks), seed) for seed in self.seeds)

    @property
    def train_tasks(self) -> tuple[str, ...]:
        """The mixture's tasks."""
        return tuple(dict.fromkeys([*self.tasks, *self.settings.auxiliary]))

    def tasks_trained_on(self, run: JobRun) -> tuple[str, ...]:
        """The mixture's tasks."""
        return self.train_tasks

    def selecting_tasks(self, run: JobRun) -> tuple[str, ...]:
        """The mixture's tasks without the auxiliary tasks."""
        return self.tasks


class PromptDesignJob(_TaskJob):
    """The model with worked examples as its prompt; nothing is trained."""

    method: Literal["prompt_design"] = "prompt_design"
    settings: PromptDesign
    saved_parameters: ClassVar[int] = 0
    state_parameters: ClassVar[int] = 0

    @property
    def sequences(self) -> tuple[Sequences, ...]:
        """Every dev example after its worked examples, which have the mean length."""
        sequences: list[Sequences] = []
        for run in self.runs:
            train, split = (self.lengths(run.task, name) for name in ("train", "validation"))
            before = self.settings.shots * (train.input + train.target)
            target = split.longest_target + _SEPARATOR_TOKENS
            inputs = after(before, split.inputs)
            sequences.append(Sequences(split.examples, inputs, target, "nothing"))
        return tuple(sequences)

    @property
    def stem(self) -> str:
        """The part of names that the job's runs share: method, size, checkpoint, shots."""
        return f"{super().stem}/shots_{self.settings.shots}"


AnyTuningJob = Annotated[
    PromptTuningJob | ModelTuningJob | MultitaskTuningJob, Field(discriminator="method")
]
AnyJob = PromptTuningJob | ModelTuningJob | MultitaskTuningJob | PromptDesignJob


class LanguageModelingJob(Strict):
    """Pre-training (`span_corruption`) or LM adaptation (`lm_<steps>`) of a size.

    An adaptation continues the next shorter adaptation, which ended at `first_step`.
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
        """The number of parameters of the checkpoint that the job leaves, and of a state."""
        return self.architecture.num_parameters

    state_parameters = saved_parameters

    @property
    def sequences(self) -> tuple[Sequences, ...]:
        """The sequences of all steps."""
        objective = prefix_lm if adaptation_steps(self.checkpoint) else span_corruption
        settings = self.settings
        return objective(settings.steps * settings.batch_size, settings.inputs_length)
