"""The configuration file as types: every key, its default, its bounds and its source.

Unknown keys and bad values are refused when the file is loaded (`promptscale.config.load`), and so
are values that do not go together (`promptscale.config.rules`).
"""

from collections.abc import Mapping
from typing import Annotated, Any

import pydantic
from pydantic import Field, field_validator

from promptscale.config import faults
from promptscale.config.axes import AXES, Setting, checkpoint_name, continued_name
from promptscale.config.settings import (
    EvaluationSettings,
    LanguageModeling,
    LmAdaptation,
    ModelTuning,
    MultitaskTuning,
    Origin,
    PromptDesign,
    PromptTuning,
)
from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.config.values import (
    CheckpointSource,
    Corpus,
    Flag,
    Label,
    LocalPath,
    Location,
    Name,
    NotNegative,
    NotNegativeNumber,
    OptionalLocation,
    Positive,
    Range,
    Share,
    Steps,
    StepsKey,
    StepsOrNone,
    Strict,
    Table,
    Values,
    fault,
    sentence,
)

Shards = Annotated[Positive, Field(le=100_000)]


class Paths(Strict):
    """Where results and figures go, relative to the working directory."""

    results: LocalPath = "results"
    figures: LocalPath = "figures"
    # Local folders or buckets; below `results` if not given.
    models: OptionalLocation = ""  # trained models
    state: OptionalLocation = ""  # what killed jobs resume from


class Checkpoints(Strict):
    """The source of each checkpoint: `train`, or a location with `{size}` in it.

    A location is a T5X checkpoint (directory or file) or a Hugging Face folder, local or gs://.
    """

    span_corruption: CheckpointSource
    # by the steps of adaptation
    lm_adaptation: dict[StepsKey, CheckpointSource] = Field(default={})
    # by the further steps of span corruption: the control for an adaptation of as many steps
    span_corruption_continued: dict[StepsKey, CheckpointSource] = Field(default={})


class DomainShift(Strict):
    """Runs on a task that are evaluated on other tasks too (section 5, Tables 1 and 2)."""

    sizes: Values[str]
    evaluate_on: Table[Values[str]]  # by the task that the runs are trained on


class Ensembles(Strict):
    """Prompts of the default setting that vote (section 6, Table 3)."""

    sizes: Values[str]
    seeds: Values[NotNegative] = (0, 1, 2, 3, 4)


class Convergence(Strict):
    """Prompt lengths whose training time is compared on a task (appendix A.2, Table 5)."""

    task: str = "boolq"
    prompt_length: Values[Positive]


class SearchSpace(Strict):
    """The values that the settings of a trial are drawn from (Table 6); `null` is off."""

    learning_rate: Range = (0.001, 0.5)  # log-uniform between
    parameter_scaling: Values[Flag] = (True, False)
    batch_size: Values[Positive] = (32, 64, 128, 256, 512)  # the paper prints 126 for 128
    steps: Values[Steps] = (10_000, 20_000, 30_000)
    warmup_steps: Values[StepsOrNone] = (0, 2_000, 3_000)
    decay_factor: Values[Share | None] = (None, 0.1, 0.5)
    steps_per_decay: Values[Steps] = (4_000, 6_000, 8_000)


class HyperparameterSearch(Strict):
    """Random search for the optimisers of prompt tuning and model tuning (A.2, Table 6)."""

    size: str
    trials: Annotated[Positive, Field(le=10_000)] = 40  # of prompt tuning
    model_tuning_trials: Annotated[NotNegative, Field(le=10_000)] = 0  # the paper: 37
    seed: NotNegative = 0
    space: SearchSpace = SearchSpace()


class PublishedPrompts(Strict):
    """Prompts that others trained, evaluated on the default checkpoint of a size."""

    size: str
    folder: LocalPath  # holds `TASK.npy` of each task
    tasks: Values[str] = ("sst2", "mrpc", "rte")  # the tasks of the authors' published prompts


class RunsPerJob(Strict):
    """The largest number of runs that a job trains together on a checkpoint."""

    prompt_tuning: Positive = 3
    model_tuning: Positive = 1


class Hardware(Strict):
    """The accelerator of a size's jobs and their layout on it; a change of it reruns nothing."""

    accelerator: str  # a type of accelerators.yaml
    model_axis: Positive = 1  # devices that share the model's parameters; the others share batches
    token_budget: Positive | None = None  # positions that a device computes at a time; None: ours


class Budget(Strict):
    """The largest estimated cost at which Snakemake starts jobs."""

    accelerator_hours: NotNegativeNumber = 100.0


class Data(Strict):
    """The sources of raw rows."""

    generated: Flag = False  # generate the miniature's datasets and vocabulary
    seed: NotNegative = 0  # of the generated datasets
    # TFDS's folder of prepared datasets; below the results if not given
    data_dir: OptionalLocation = ""
    download: Flag = False  # let TFDS download what data_dir lacks
    local_files: LocalPath | None = None  # a folder of the originally published files to build from
    # `task/split` to the file (below local_files) that replaces the published file
    substitutes: dict[str, LocalPath] = Field(default={})
    corpus: Corpus = "c4/en:2.2.0"  # plain text for pre-training and LM adaptation
    corpus_shards: Shards = 1  # slices that the corpus is prepared in, a job each
    corpus_shards_used: Shards = 1  # the number of slices that are read, from the first
    vocabulary: Location | None = None  # SentencePiece model; trained if generated


class Config(Strict):
    """A whole experiment."""

    origin: Origin  # results of two origins or labels are never mixed
    label: Label  # names the results in captions and in the folder of published results
    paths: Paths = Paths()
    architectures: dict[Name, ModelConfig] = Field(default={})
    sizes: Values[str]
    tasks: Values[str]
    seeds: Values[NotNegative] = (0, 1, 2)
    # A model of each size is pre-trained with each of these; the `seeds` take the models in turn.
    pretraining_seeds: Values[NotNegative] = (0,)
    data: Data
    checkpoints: Checkpoints
    default_checkpoint: str
    pretraining: LanguageModeling | None = None
    lm_adaptation: LmAdaptation | None = None
    prompt_tuning: PromptTuning
    model_tuning: ModelTuning | None = None
    multitask_tuning: MultitaskTuning | None = None
    prompt_design: PromptDesign | None = None
    ablations: dict[str, tuple[Any, ...]] = Field(default={})  # by axis of `axes.AXES`
    domain_shift: DomainShift | None = None
    ensembles: Ensembles | None = None
    convergence: Convergence | None = None
    hyperparameter_search: HyperparameterSearch | None = None
    published_prompts: PublishedPrompts | None = None
    evaluation: EvaluationSettings = EvaluationSettings()
    paper_curves: Flag = (
        False  # Figures 1 and 3 show the paper's curves beside results of other sizes
    )
    runs_per_job: RunsPerJob = RunsPerJob()
    hardware: dict[str, Hardware] = Field(default={})
    budget: Budget = Budget()

    @property
    def all_sizes(self) -> dict[str, ModelConfig]:
        """The architecture of every size: those built in and those of `architectures`."""
        return SIZES | self.architectures

    @property
    def checkpoint_names(self) -> tuple[str, ...]:
        """Names of the checkpoints of each size, such as `span_corruption` and `lm_<steps>`."""
        adapted = map(checkpoint_name, (0, *self.checkpoints.lm_adaptation))
        return (*adapted, *map(continued_name, self.checkpoints.span_corruption_continued))

    def pretraining_seed(self, seed: int) -> int:
        """The seed of the pre-training whose model the runs of `seed` start from.

        Seeds beyond `seeds` are those of an ensemble, which votes on the first model.
        """
        place = self.seeds.index(seed) if seed in self.seeds else 0
        return self.pretraining_seeds[place % len(self.pretraining_seeds)]

    @property
    def default_setting(self) -> Setting:
        """The default setting of prompt tuning."""
        return Setting(self.default_checkpoint, self.prompt_tuning)

    @field_validator("ablations", mode="before")
    @classmethod
    def _values_of_axes(cls, ablations: Any) -> Any:
        """Checks the ablations against the axes that are declared when the file is loaded."""
        if not isinstance(ablations, Mapping):
            raise fault(f"should be a mapping of axes ({', '.join(AXES)}) to lists of values")
        for unknown in faults.known("ablations", ablations, AXES):
            raise sentence(unknown)
        values: Any = Values
        fields: Any = {name: (values[AXES[name].values], ...) for name in ablations}
        axes: Any = pydantic.create_model("Axes", **fields)
        model = pydantic.create_model("Ablations", ablations=(axes, ...))
        try:
            return dict(dict(model.model_validate({"ablations": ablations}))["ablations"])
        except pydantic.ValidationError as error:
            raise sentence(faults.sentences(error, model)[0]) from None
