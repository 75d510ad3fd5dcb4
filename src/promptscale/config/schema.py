"""The configuration file as types: every key, its default, its bounds and its source.

Unknown keys and bad values are refused when the file is loaded (`promptscale.config.load`).
"""

import types
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any

import pydantic
from pydantic import Field, field_validator, model_validator

from promptscale.config.accelerators import accelerators
from promptscale.config.axes import AXES, Setting, checkpoint_name
from promptscale.config.settings import (
    EvaluationSettings,
    Label,
    LanguageModeling,
    ModelTuning,
    MultitaskTuning,
    NotNegative,
    Origin,
    Positive,
    PromptDesign,
    PromptTuning,
    Strict,
)
from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.config.tasks import TASKS

TRAINABLE = tuple(name for name, task in TASKS.items() if "train" in task.splits)


class Paths(Strict):
    """Where results and figures go, relative to the working directory."""

    results: str = "results"
    figures: str = "figures"
    models: str = ""  # trained models; `<results>/models` if not given, or a folder in a bucket
    state: str = ""  # what killed jobs resume from; `<results>/state` if not given, or in a bucket


class Checkpoints(Strict):
    """The source of each checkpoint: `train`, or a location with `{size}` in it.

    A location is a T5X checkpoint (directory or file) or a Hugging Face folder, local or gs://.
    """

    span_corruption: str
    lm_adaptation: dict[Positive, str] = Field(default={})  # steps of adaptation to source


class DomainShift(Strict):
    """Runs on a task that are evaluated on other tasks too (section 5, Tables 1 and 2)."""

    sizes: tuple[str, ...]
    evaluate_on: dict[str, tuple[str, ...]]  # by the task that the runs are trained on

    @model_validator(mode="after")
    def _known_tasks(self) -> "DomainShift":
        for task, others in self.evaluate_on.items():
            _known("evaluate_on", (task,), TRAINABLE)
            _known(f"evaluate_on.{task}", others, TASKS)
        return self


class Ensembles(Strict):
    """Prompts of the default setting that vote (section 6, Table 3)."""

    sizes: tuple[str, ...]
    seeds: tuple[NotNegative, ...] = (0, 1, 2, 3, 4)


class Convergence(Strict):
    """Prompt lengths whose training time is compared on a task (appendix A.2, Table 5)."""

    task: str = "boolq"
    prompt_length: tuple[Positive, ...]


class SearchSpace(Strict):
    """The values that the settings of a trial are drawn from (Table 6); `null` is off."""

    learning_rate: tuple[float, float] = (0.001, 0.5)  # log-uniform between
    parameter_scaling: tuple[bool, ...] = (True, False)
    batch_size: tuple[Positive, ...] = (32, 64, 128, 256, 512)  # the paper prints 126 for 128
    steps: tuple[Positive, ...] = (10_000, 20_000, 30_000)
    warmup_steps: tuple[NotNegative, ...] = (0, 2_000, 3_000)
    decay_factor: tuple[float | None, ...] = (None, 0.1, 0.5)
    steps_per_decay: tuple[Positive, ...] = (4_000, 6_000, 8_000)


class HyperparameterSearch(Strict):
    """Random search for prompt tuning's optimiser (appendix A.1, Table 6)."""

    size: str
    trials: Positive = 40  # of the paper's 77, 40 were prompt tuning
    seed: NotNegative = 0
    space: SearchSpace = SearchSpace()


class RunsPerJob(Strict):
    """The largest number of runs that a job trains together on a checkpoint."""

    prompt_tuning: Positive = 3
    model_tuning: Positive = 1


class Hardware(Strict):
    """The accelerator of a size's jobs and their layout on it; a change of it reruns nothing."""

    accelerator: str  # a type of accelerators.yaml
    model_axis: Positive = 1  # devices that share the model's parameters; the others share batches
    examples_at_a_time: Positive | None = None  # of a batch; None: all

    @model_validator(mode="after")
    def _fits(self) -> "Hardware":
        _known("accelerator", (self.accelerator,), accelerators())
        devices = accelerators()[self.accelerator].devices
        if devices % self.model_axis:
            raise ValueError(f"model_axis must divide the {devices} devices of {self.accelerator}")
        return self


class Budget(Strict):
    """The largest estimated cost at which Snakemake starts jobs."""

    accelerator_hours: Annotated[float, Field(ge=0)] = 100.0


class Data(Strict):
    """The sources of raw rows."""

    generated: bool = False  # generate the miniature's datasets and vocabulary
    data_dir: str = ""  # TFDS's folder of prepared datasets; below the results if not given
    download: bool = False  # let TFDS download what data_dir lacks
    local_files: str | None = None  # a folder of the originally published files to build from
    # `task/split` to the file (below local_files) that replaces the published file
    substitutes: dict[str, str] = Field(default={})
    corpus: str = "c4/en:2.2.0"  # plain text for pre-training and LM adaptation
    corpus_shards: Positive = 1  # slices that the corpus is prepared in, a job each
    corpus_shards_used: Positive = 1  # the number of slices that are read, from the first
    vocabulary: str | None = None  # SentencePiece model; trained if generated


class Config(Strict):
    """A whole experiment."""

    origin: Origin  # results of two origins or labels are never mixed
    label: Label  # names the results in captions and in the folder of published results
    paths: Paths = Paths()
    architectures: dict[str, ModelConfig] = Field(default={})
    sizes: Annotated[tuple[str, ...], Field(min_length=1)]
    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    seeds: Annotated[tuple[NotNegative, ...], Field(min_length=1)] = (0, 1, 2)
    data: Data
    checkpoints: Checkpoints
    default_checkpoint: str
    pretraining: LanguageModeling | None = None
    lm_adaptation: LanguageModeling | None = None
    prompt_tuning: PromptTuning
    model_tuning: ModelTuning | None = None
    multitask_tuning: MultitaskTuning | None = None
    prompt_design: PromptDesign | None = None
    ablations: dict[str, tuple[Any, ...]] = Field(default={})  # by axis of `axes.AXES`
    domain_shift: DomainShift | None = None
    ensembles: Ensembles | None = None
    convergence: Convergence | None = None
    hyperparameter_search: HyperparameterSearch | None = None
    evaluation: EvaluationSettings = EvaluationSettings()
    runs_per_job: RunsPerJob = RunsPerJob()
    hardware: dict[str, Hardware] = Field(default={})
    budget: Budget = Budget()

    @property
    def all_sizes(self) -> dict[str, ModelConfig]:
        """The architecture of every size: those built in and those of `architectures`."""
        return SIZES | self.architectures

    @property
    def checkpoint_names(self) -> tuple[str, ...]:
        """Names of the checkpoints of each size: `span_corruption`, `lm_<steps>`."""
        return tuple(map(checkpoint_name, (0, *self.checkpoints.lm_adaptation)))

    @property
    def default_setting(self) -> Setting:
        """The default setting of prompt tuning."""
        return Setting(self.default_checkpoint, self.prompt_tuning)

    @field_validator("ablations", mode="before")
    @classmethod
    def _values_of_axes(cls, ablations: Any) -> Any:
        """Checks the ablations against the axes that are declared when the file is loaded."""
        if not isinstance(ablations, Mapping):
            raise ValueError(f"it must be a mapping of axes ({', '.join(AXES)}) to lists of values")
        _known("ablations", ablations, AXES)
        checked: dict[str, tuple] = {}
        for name, values in ablations.items():
            kind: Any = types.GenericAlias(tuple, (AXES[name].values, ...))
            try:
                checked[name] = pydantic.TypeAdapter(kind).validate_python(values)
            except pydantic.ValidationError as error:
                raise ValueError(f"{name} is {values!r}; {_gist(error)}") from None
        return checked

    @model_validator(mode="after")
    def _known_names(self) -> "Config":
        names = self.checkpoint_names
        shift, vote, search = self.domain_shift, self.ensembles, self.hyperparameter_search
        single, multitask = self.model_tuning, self.multitask_tuning
        for key, values, known in (
            ("sizes", self.sizes, self.all_sizes),
            ("tasks", self.tasks, TRAINABLE),
            ("hardware", self.hardware, self.all_sizes),
            ("default_checkpoint", [self.default_checkpoint], names),
            ("model_tuning.checkpoint", [single.checkpoint] if single else [], names),
            ("multitask_tuning.checkpoint", [multitask.checkpoint] if multitask else [], names),
            ("multitask_tuning.auxiliary", multitask.auxiliary if multitask else [], TRAINABLE),
            ("domain_shift.sizes", shift.sizes if shift else [], self.sizes),
            ("ensembles.sizes", vote.sizes if vote else [], self.sizes),
            ("hyperparameter_search.size", [search.size] if search else [], self.sizes),
            ("convergence.task", [self.convergence.task] if self.convergence else [], self.tasks),
        ):
            _known(key, values, known)
        for axis, value in [(axis, x) for axis, values in self.ablations.items() for x in values]:
            try:
                setting = AXES[axis].setting(self.default_setting, value)
            except pydantic.ValidationError as error:
                raise ValueError(f"ablations.{axis} has {value!r}; {_gist(error)}") from None
            _known(f"ablations.{axis} with {value!r}", [setting.checkpoint], names)
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        for key, values in (("sizes", self.sizes), ("tasks", self.tasks), ("seeds", self.seeds)):
            if len(set(values)) < len(values):
                raise ValueError(f"{key} has a value twice")
        data, checkpoints = self.data, self.checkpoints
        if data.generated and self.origin != "generated":
            raise ValueError("origin is 'real', but data.generated is true; it must be 'generated'")
        if self.ensembles and not set(self.seeds) <= set(self.ensembles.seeds):
            raise ValueError("ensembles.seeds must contain the seeds of all other runs")
        if checkpoints.span_corruption == "train" and not self.pretraining:
            raise ValueError("checkpoints.span_corruption is 'train', so pretraining is needed")
        if "train" in checkpoints.lm_adaptation.values() and not self.lm_adaptation:
            raise ValueError("checkpoints.lm_adaptation has 'train', so lm_adaptation is needed")
        if not data.generated and data.vocabulary is None:
            raise ValueError("data.vocabulary is needed: the path of a SentencePiece model")
        if data.corpus_shards_used > data.corpus_shards:
            raise ValueError("data.corpus_shards_used is more than data.corpus_shards")
        return self


def _known(key: str, values: Iterable, known: Collection) -> None:
    for value in values:
        if value not in known:
            raise ValueError(f"{key} has {value!r}; known are {', '.join(map(str, known))}")


def _gist(error: pydantic.ValidationError) -> str:
    """What pydantic says of the first fault."""
    message = error.errors()[0]["msg"].replace("Input should", "it should")
    return message.removeprefix("Value error, ")
