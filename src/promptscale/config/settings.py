"""The settings of a training, of its prompts and of an evaluation: sections of the configuration.

`promptscale.config.schema` puts them together; every section states its defaults and bounds.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from promptscale.config.values import (
    Distinct,
    Flag,
    Length,
    NotNegative,
    NotNegativeNumber,
    Number,
    OptionalLocalPath,
    OptionalText,
    Positive,
    PositiveNumber,
    Rate,
    Share,
    Steps,
    StepsOrNone,
    Strict,
    Text,
    either,
)

Initialization = Literal["class_label", "sampled_vocab", "random_uniform", "text", "file"]
UnadaptedObjective = Literal[
    "span_corruption",
    "span_corruption_sentinel",
    # Span corruption went on for as many steps as the default's LM adaptation has.
    "span_corruption_continued",
    "span_corruption_continued_sentinel",
]
Objective = Literal[UnadaptedObjective, "lm_adaptation"]
# Results of two origins are never mixed.
Origin = Literal["generated", "real"]
Activations = Literal["float32", "bfloat16"]
StepOffset = Literal["checkpoint"] | StepsOrNone


class Optimizer(Strict):
    """Adafactor. Prompt tuning: the paper's section 3; model tuning: T5's defaults."""

    learning_rate: PositiveNumber
    schedule: Literal["constant", "rsqrt"] = "constant"
    # constant: the rate rises linearly from 0; rsqrt: T5's, constant before it starts to fall
    warmup_steps: StepsOrNone = 0
    decay_factor: Share | None = None  # constant: multiplied in ...
    steps_per_decay: Steps = 1  # ... every so many steps
    decay_rate: PositiveNumber = 0.8
    parameter_scaling: Flag = False
    weight_decay: NotNegativeNumber = 0.0
    # The step at which the second moments' decay starts: T5X restores the checkpoint's.
    step_offset: Annotated[StepOffset, either("'checkpoint' or a number of steps")] = "checkpoint"


class _Training(Strict):
    """What every training has in common besides its number of steps."""

    batch_size: Positive  # sequences per step and run
    optimizer: Optimizer
    save_every: Steps = 1000  # steps between writes of the state that a killed job resumes from
    dropout_rate: Rate = 0.1
    z_loss: NotNegativeNumber = 1e-4
    # Divides the summed loss; matters only where restored second moments expect a scale.
    loss_normalizing_factor: PositiveNumber = 1.0
    activations: Activations = "bfloat16"


class Supervised(_Training):
    """Training on a task, with early stopping on its validation set."""

    steps: Steps
    evaluate_every: Steps = 1000
    # A run stops after so many evaluations without a better dev score; 0: after all steps.
    patience: NotNegative = 0
    max_input_length: Length = 512  # tokens with EOS; longer training inputs are cut
    max_target_length: Length | None = None  # None: T5's limit for the task


class PromptInitialization(Strict):
    """How prompts start (section 3.2)."""

    method: Initialization = "class_label"
    population: Positive = 5000  # sampled vocabulary: the first so many ids
    uniform_range: tuple[Number, Number] = (-0.5, 0.5)  # the released code draws from [0, 0.5)
    text: OptionalText = ""
    file: OptionalLocalPath = ""

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
    sentinel: Flag = False  # targets start with `<extra_id_0>`, as in span corruption (section 2)


class ModelTuning(Supervised):
    """Single-task model tuning, from the checkpoint before LM adaptation (section 3.1)."""

    checkpoint: str = "span_corruption"
    restore_accumulators: Flag = True
    # A batch has as many examples as T5X packs into `batch_size` rows.
    pack: Flag = False


class MultitaskTuning(ModelTuning):
    """Model tuning on all tasks and `auxiliary` ones at once, the tasks' names in the text."""

    auxiliary: Distinct[str] = ("dpr",)


class PromptDesign(Strict):
    """Text prompts for the frozen model: worked examples before the question (Figure 1)."""

    shots: NotNegative = 4
    separator: Text = "."  # ends an example's answer, and what the model writes is cut there
    activations: Activations = "float32"


class LmAdaptation(_Training):
    """Adaptation by prefix LM; a checkpoint's name has its number of steps."""

    # Span corruption of fewer than 10 tokens can hide no span.
    inputs_length: Annotated[Length, Field(ge=10)] = 512


class LanguageModeling(LmAdaptation):
    """Pre-training by span corruption, or an adaptation: all weights are trained."""

    steps: Steps


class EvaluationSettings(Strict):
    """Free generation and exact match (section 3; docs/deviations.md, 6)."""

    decoding: Literal["beam", "greedy"] = "beam"  # beam: T5X's default, a single beam
