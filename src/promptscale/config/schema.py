"""The configuration file as types: every key, its default, its bounds and where it comes from.

Unknown keys and bad values are refused when the file is loaded (`promptscale.config.load`).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from promptscale.config.accelerators import accelerators
from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.config.tasks import TASKS

Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
TRAINABLE = tuple(name for name, task in TASKS.items() if "train" in dict(task.splits))
Rate = Annotated[float, Field(ge=0, lt=1)]
Initialization = Literal["class_label", "sampled_vocab", "random_uniform", "text", "file"]


class Strict(BaseModel):
    """Immutable, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Paths(Strict):
    """Where results and figures go, relative to the working directory."""

    results: str = "results"
    figures: str = "figures"
    models: str = ""  # trained models; `<results>/models` if not given, or a folder in a bucket
    state: str = ""  # what killed jobs resume from; `<results>/state` if not given, or in a bucket


class Optimizer(Strict):
    """Adafactor. Prompt tuning: the paper's section 3; model tuning: T5's defaults."""

    learning_rate: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "rsqrt"] = "constant"
    # constant: the rate rises linearly from 0; rsqrt: T5's, constant before it starts to fall
    warmup_steps: NotNegative = 0
    decay_factor: Annotated[float, Field(gt=0, le=1)] | None = None  # constant: multiplied in ...
    steps_per_decay: Positive = 1  # ... every so many steps
    decay_rate: Annotated[float, Field(gt=0)] = 0.8
    parameter_scaling: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    # The step at which the second moments' decay starts: T5X restores the checkpoint's.
    step_offset: Literal["checkpoint"] | NotNegative = "checkpoint"


class Training(Strict):
    """What every training has in common."""

    steps: Positive
    batch_size: Positive  # sequences per step and run
    optimizer: Optimizer
    save_every: Positive = 1000  # steps between writes of the state that a killed job resumes from
    dropout_rate: Rate = 0.1
    z_loss: Annotated[float, Field(ge=0)] = 1e-4
    # Divides the summed loss; matters only where restored second moments expect a scale.
    loss_normalizing_factor: Annotated[float, Field(gt=0)] = 1.0
    activations: Literal["float32", "bfloat16"] = "bfloat16"


class Supervised(Training):
    """Training on a task, with early stopping on its validation set."""

    evaluate_every: Positive = 1000
    max_input_length: Positive = 512  # tokens with EOS; longer training inputs are cut
    max_target_length: Positive = 62


class PromptInitialization(Strict):
    """How prompts start (section 3.2)."""

    method: Initialization = "class_label"
    population: Positive = 5000  # sampled vocabulary: the first so many ids
    uniform_range: tuple[float, float] = (-0.5, 0.5)  # the released code draws from [0, 0.5)
    text: str = ""
    file: str = ""

    @model_validator(mode="after")
    def _complete(self) -> "PromptInitialization":
        if self.uniform_range[0] >= self.uniform_range[1]:
            raise ValueError("uniform_range must be [low, high] with low below high")
        if self.method in ("text", "file") and not getattr(self, self.method):
            raise ValueError(f"method {self.method!r} needs the key {self.method!r}")
        return self


class PromptTuning(Supervised):
    """Prompt tuning: the paper's defaults are 100 tokens, class labels, 30,000 steps of 32."""

    prompt_length: Positive = 100
    initialization: PromptInitialization = PromptInitialization()
    sentinel: bool = False  # targets start with `<extra_id_0>`, as in span corruption (section 2)


class ModelTuning(Supervised):
    """Single-task model tuning, from the checkpoint before LM adaptation (section 3.1)."""

    checkpoint: str = "span_corruption"
    restore_accumulators: bool = True


class MultitaskTuning(ModelTuning):
    """Model tuning on all tasks and `auxiliary` ones at once, the tasks' names in the text."""

    auxiliary: tuple[str, ...] = ("dpr",)


class PromptDesign(Strict):
    """Text prompts for the frozen model: worked examples before the question (Figure 1)."""

    shots: Positive = 4
    separator: str = "."  # ends an example's answer, and what the model writes is cut there


class LanguageModeling(Training):
    """Pre-training by span corruption, or adaptation by prefix LM: all weights are trained."""

    inputs_length: Positive = 512


class Checkpoints(Strict):
    """Where frozen models come from: `train`, or a location with `{size}` in it.

    A location is a T5X checkpoint (directory or file) or a Hugging Face folder, local or gs://.
    """

    span_corruption: str
    lm_adaptation: dict[Positive, str] = {}  # steps of adaptation to source


class Ablations(Strict):
    """Values beside the default's, one axis at a time (section 3.2, Figure 3)."""

    prompt_length: tuple[Positive, ...] = ()
    initialization: tuple[Initialization, ...] = ()
    pretraining_objective: tuple[Literal["span_corruption", "span_corruption_sentinel"], ...] = ()
    lm_adaptation_steps: tuple[NotNegative, ...] = ()  # 0: span corruption


class DomainShift(Strict):
    """Trained on one task and evaluated on others too (section 5, Tables 1 and 2)."""

    sizes: tuple[str, ...]
    evaluate_on: dict[str, tuple[str, ...]]  # task trained on to tasks evaluated on

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
    """Prompt lengths whose training time is compared on one task (appendix A.2, Table 5)."""

    task: str = "boolq"
    prompt_length: tuple[Positive, ...]


class SearchSpace(Strict):
    """Table 6: the values that a trial's settings are drawn from; `null` is off."""

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
    """How many runs that share a frozen model are trained together, as one job."""

    prompt_tuning: Positive = 3
    model_tuning: Positive = 1


class Hardware(Strict):
    """What a size's jobs run on and how they lie on it; changes no result and reruns nothing."""

    accelerator: str  # a type of accelerators.yaml
    model_axis: Positive = 1  # devices that share the model's parameters; the others share batches
    examples_at_a_time: Positive | None = None  # of a batch; all if not given

    @model_validator(mode="after")
    def _fits(self) -> "Hardware":
        _known("accelerator", (self.accelerator,), accelerators())
        devices = accelerators()[self.accelerator].devices
        if devices % self.model_axis:
            raise ValueError(f"model_axis must divide the {devices} devices of {self.accelerator}")
        return self


class Budget(Strict):
    """What may be started without asking."""

    accelerator_hours: Annotated[float, Field(ge=0)] = 100.0


class Data(Strict):
    """Where raw rows come from."""

    generated: bool = False  # the miniature world instead of the published datasets
    data_dir: str = ""  # TFDS's folder of prepared datasets; below the results if not given
    download: bool = False  # let TFDS download what data_dir lacks
    local_files: str | None = None  # a folder of the originally published files to build from
    # `task/split` to the file (below local_files) knowingly used in place of the published one
    substitutes: dict[str, str] = {}
    corpus: str = "c4/en:2.2.0"  # plain text for pre-training and LM adaptation
    corpus_shards: Positive = 1  # slices that the corpus is prepared in, a job each
    corpus_shards_used: Positive = 1  # how many of them, from the first
    vocabulary: str | None = None  # SentencePiece model; trained if generated


class Evaluation(Strict):
    """Free generation and exact match (section 3, paper_and_released_code 6)."""

    decoding: Literal["beam", "greedy"] = "beam"  # beam: T5X's default, one beam
    batch_size: Positive = 128


class Config(Strict):
    """A whole experiment."""

    world: Literal["miniature", "real", "paper"]
    paths: Paths = Paths()
    architectures: dict[str, ModelConfig] = {}
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
    ablations: Ablations = Ablations()
    domain_shift: DomainShift | None = None
    ensembles: Ensembles | None = None
    convergence: Convergence | None = None
    hyperparameter_search: HyperparameterSearch | None = None
    evaluation: Evaluation = Evaluation()
    runs_per_job: RunsPerJob = RunsPerJob()
    hardware: dict[str, Hardware] = {}
    budget: Budget = Budget()

    @property
    def all_sizes(self) -> dict[str, ModelConfig]:
        """The built-in architectures and this configuration's own."""
        return SIZES | self.architectures

    @property
    def checkpoint_names(self) -> tuple[str, ...]:
        """Names of the frozen models of each size: `span_corruption`, `lm_<steps>`."""
        return ("span_corruption", *(f"lm_{steps}" for steps in self.checkpoints.lm_adaptation))

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        _known("sizes", self.sizes, self.all_sizes)
        _known("tasks", self.tasks, TRAINABLE)
        _known("hardware", self.hardware, self.all_sizes)
        _known("default_checkpoint", (self.default_checkpoint,), self.checkpoint_names)
        for name in ("model_tuning", "multitask_tuning"):
            if tuning := getattr(self, name):
                _known(f"{name}.checkpoint", (tuning.checkpoint,), self.checkpoint_names)
        if self.multitask_tuning:
            _known("multitask_tuning.auxiliary", self.multitask_tuning.auxiliary, TRAINABLE)
        for name in ("domain_shift", "ensembles"):
            if section := getattr(self, name):
                _known(f"{name}.sizes", section.sizes, self.sizes)
        if self.hyperparameter_search:
            size = self.hyperparameter_search.size
            _known("hyperparameter_search.size", (size,), self.sizes)
        if self.convergence:
            _known("convergence.task", (self.convergence.task,), self.tasks)
        steps = self.ablations.lm_adaptation_steps
        _known("ablations.lm_adaptation_steps", steps, (0, *self.checkpoints.lm_adaptation))
        for key, values in (("sizes", self.sizes), ("tasks", self.tasks), ("seeds", self.seeds)):
            if len(set(values)) < len(values):
                raise ValueError(f"{key} has a value twice")
        if self.ensembles and not set(self.seeds) <= set(self.ensembles.seeds):
            raise ValueError("ensembles.seeds must contain the seeds of all other runs")
        if self.checkpoints.span_corruption == "train" and self.pretraining is None:
            raise ValueError("checkpoints.span_corruption is 'train', so pretraining is needed")
        if "train" in self.checkpoints.lm_adaptation.values() and self.lm_adaptation is None:
            raise ValueError("checkpoints.lm_adaptation has 'train', so lm_adaptation is needed")
        if not self.data.generated and self.data.vocabulary is None:
            raise ValueError("data.vocabulary is needed: the path of a SentencePiece model")
        if self.data.corpus_shards_used > self.data.corpus_shards:
            raise ValueError("data.corpus_shards_used is more than data.corpus_shards")
        return self


def _known(key: str, values, known) -> None:
    for value in values:
        if value not in known:
            raise ValueError(f"{key} has {value!r}; known are {', '.join(map(str, known))}")
