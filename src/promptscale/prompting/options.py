"""The options of a tuning, and the job of the workflow that they make."""

from pathlib import Path
from typing import Any, Literal

import pydantic

from promptscale.config import faults
from promptscale.config.jobs import ModelTuningJob, PromptTuningJob, TuningJob
from promptscale.config.settings import Activations, EvaluationSettings, ModelTuning, PromptTuning
from promptscale.config.sizes import ModelConfig
from promptscale.config.tasks import Task
from promptscale.config.values import (
    Length,
    NotNegative,
    Positive,
    PositiveNumber,
    Rate,
    Steps,
    Strict,
)
from promptscale.data.tables import Format
from promptscale.errors import ConfigError
from promptscale.prompting.examples import Answers
from promptscale.prompting.template import DEFAULT

# The paper's learning rates, and its other settings that are not the defaults.
_OPTIMIZERS: dict[str, dict[str, Any]] = {
    "prompt": {"learning_rate": 0.3, "weight_decay": 1e-5},
    "model": {"learning_rate": 0.001, "parameter_scaling": True},
}


class Options(Strict):
    """How a task is read and tuned. The settings are the paper's, except for fewer `steps`.

    Attributes:
      dev: a table of dev examples; by default about a tenth of the data is held out.
      format: of the tables; by default that of their suffixes.
      template, target_column: what of a row is the input, and what the target.
      answers: whether targets are labels of classes or free text; by default by their number.
      name: of the task; by default that of the file.
      method: whether a prompt or the whole model is tuned.
      seeds: the number of runs with the seeds 0, 1, ..., which are trained together.
      evaluate_every: steps between evaluations; by default a tenth of the steps.
      patience: a run stops after so many evaluations without a better score; 0: after all steps.
      learning_rate: by default the paper's, 0.3 for prompts and 0.001 for the model.
      max_input_length: longer inputs are cut in training, in tokens with EOS.
    """

    dev: Path | None = None
    format: Format | None = None
    template: str = DEFAULT
    target_column: str = "target"
    answers: Answers = "auto"
    name: str = ""
    method: Literal["prompt", "model"] = "prompt"
    seeds: Positive = 1
    steps: Steps = 1000
    evaluate_every: Steps | None = None
    patience: NotNegative = 0
    batch_size: Positive = 32
    learning_rate: PositiveNumber | None = None
    prompt_length: Positive = 100
    initialization: Literal["class_label", "sampled_vocab", "random_uniform"] = "class_label"
    dropout_rate: Rate = 0.1
    max_input_length: Length = 512


def checked_options(**values: Any) -> Options:
    """The options with these values.

    Raises:
      ConfigError: a name or a value is wrong.
    """
    try:
        return Options(**values)
    except pydantic.ValidationError as error:
        sentence = faults.sentences(error, Options)[0]
        raise ConfigError(f"The tuning cannot start: {sentence}") from error


def tuning_job(
    options: Options,
    task: Task,
    max_target_length: int,
    architecture: ModelConfig,
    activations: Activations,
) -> TuningJob:
    """The job of the workflow that trains all seeds together.

    `max_target_length` is the length of the longest training target in tokens, with EOS.
    """
    evaluate_every = options.evaluate_every or max(1, options.steps // 10)
    optimizer = dict(_OPTIMIZERS[options.method])
    if options.learning_rate is not None:
        optimizer["learning_rate"] = options.learning_rate
    settings: dict[str, Any] = {
        "steps": options.steps,
        "batch_size": options.batch_size,
        "evaluate_every": evaluate_every,
        "save_every": evaluate_every,
        "patience": options.patience,
        "dropout_rate": options.dropout_rate,
        "activations": activations,
        "max_input_length": options.max_input_length,
        "max_target_length": max_target_length,
        "optimizer": optimizer,
    }
    shared: dict[str, Any] = {
        "origin": "real",
        "label": "a user's task",
        "size": "custom",
        "architecture": architecture,
        "checkpoint": "custom",
        "tasks": (task.name,),
        "seeds": tuple(range(options.seeds)),
        "definitions": {task.name: task},
        "evaluation": EvaluationSettings(),
    }
    if options.method == "model":
        return ModelTuningJob(
            settings=ModelTuning(restore_accumulators=False, **settings), **shared
        )
    initialization = {"method": options.initialization}
    settings |= {"prompt_length": options.prompt_length, "initialization": initialization}
    return PromptTuningJob(settings=PromptTuning(**settings), **shared)
