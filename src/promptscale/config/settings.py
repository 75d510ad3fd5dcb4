"""The settings of a training, of its prompts and of an evaluation: sections of the configuration.

`promptscale.config.schema` puts them together; every section states its defaults and bounds.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Initialization = Literal["class_label", "sampled_vocab", "random_uniform", "text", "file"]
UnadaptedObjective = Literal["span_corruption", "span_corruption_sentinel"]
Objective = Literal[UnadaptedObjective, "lm_adaptation"]
# Results of two origins are never mixed.
Origin = Literal["generated", "real"]
Label = Annotated[str, Field(pattern=r"^[^\r\n]*[A-Za-z0-9][^\r\n]*$", max_length=60)]


class Strict(BaseModel):
    """Immutable, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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


class EvaluationSettings(Strict):
    """Free generation and exact match (section 3, paper_and_released_code 6)."""

    decoding: Literal["beam", "greedy"] = "beam"  # beam: T5X's default, a single beam
