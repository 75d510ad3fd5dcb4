"""From a configuration to jobs: what is trained, on which frozen model, with which settings.

A job carries everything that its training depends on and nothing else, so its JSON is what
Snakemake compares: a changed setting reruns exactly the jobs that it touches.
"""

from typing import Annotated, Literal

from pydantic import Field

from promptscale.config.schema import (
    Config,
    Evaluation,
    LanguageModeling,
    ModelTuning,
    PromptTuning,
    Strict,
)
from promptscale.config.sizes import ModelConfig


def adaptation_steps(base: str) -> int:
    """Steps of LM adaptation behind a frozen model's name (`lm_<steps>`; 0: span corruption)."""
    return int(base.removeprefix("lm_")) if base.startswith("lm_") else 0


class PromptTuningJob(Strict):
    """Prompts for one task on one frozen model, one per seed, trained together."""

    method: Literal["prompt_tuning"] = "prompt_tuning"
    world: str
    size: str
    architecture: ModelConfig
    base: str
    task: str
    seeds: tuple[int, ...]
    settings: PromptTuning
    evaluation: Evaluation

    @property
    def name(self) -> str:
        """The job's folder below `runs/`."""
        start = self.settings.initialization.method
        tuned = f"length_{self.settings.prompt_length}-{start}"
        return f"{self.method}/{self.size}/{self.base}/{self.task}/{tuned}"


class ModelTuningJob(Strict):
    """All weights tuned on one task, once per seed."""

    method: Literal["model_tuning"] = "model_tuning"
    world: str
    size: str
    architecture: ModelConfig
    base: str
    task: str
    seeds: tuple[int, ...]
    settings: ModelTuning
    evaluation: Evaluation

    @property
    def name(self) -> str:
        """The job's folder below `runs/`."""
        return f"{self.method}/{self.size}/{self.base}/{self.task}"


TuningJob = Annotated[PromptTuningJob | ModelTuningJob, Field(discriminator="method")]


class LanguageModelingJob(Strict):
    """Pre-training (`span_corruption`) or LM adaptation (`lm_<steps>`) of one size."""

    size: str
    architecture: ModelConfig
    base: str
    seed: int = 0
    settings: LanguageModeling


def tuning_jobs(config: Config) -> list[PromptTuningJob | ModelTuningJob]:
    """Every tuning job of the configuration, each once, in a stable order."""
    jobs: list[PromptTuningJob | ModelTuningJob] = []
    for size in config.sizes:
        for task in config.tasks:
            for base, settings in _prompt_settings(config):
                common = _common(config, size, base, task)
                jobs.append(PromptTuningJob(settings=settings, **common))
            if tuning := config.model_tuning:
                common = _common(config, size, tuning.checkpoint, task)
                jobs.append(ModelTuningJob(settings=tuning, **common))
    # An ablation's value may be the default's: the same job.
    return list({job.name: job for job in jobs}.values())


def language_modeling_job(config: Config, size: str, base: str) -> LanguageModelingJob:
    """The job that trains the frozen model `base` of one size."""
    steps = adaptation_steps(base)
    settings = config.lm_adaptation if steps else config.pretraining
    if settings is None:
        raise KeyError(f"{base} is not trained in this configuration")
    if steps:
        settings = settings.model_copy(update={"steps": steps})
    architecture = config.all_sizes[size]
    return LanguageModelingJob(size=size, architecture=architecture, base=base, settings=settings)


def source(config: Config, size: str, base: str) -> str:
    """Where the frozen model comes from: `train`, or its location."""
    checkpoints = config.checkpoints
    steps = adaptation_steps(base)
    template = checkpoints.lm_adaptation[steps] if steps else checkpoints.span_corruption
    return template.replace("{size}", size)


def _common(config: Config, size: str, base: str, task: str) -> dict:
    return {
        "world": config.world,
        "size": size,
        "architecture": config.all_sizes[size],
        "base": base,
        "task": task,
        "seeds": config.seeds,
        "evaluation": config.evaluation,
    }


def _prompt_settings(config: Config) -> list[tuple[str, PromptTuning]]:
    """The default setting, then one axis of the ablations at a time."""
    default = config.prompt_tuning
    settings = [(config.default_checkpoint, default)]
    for length in config.ablations.prompt_length:
        changed = default.model_copy(update={"prompt_length": length})
        settings.append((config.default_checkpoint, changed))
    for method in config.ablations.initialization:
        start = default.initialization.model_copy(update={"method": method})
        changed = default.model_copy(update={"initialization": start})
        settings.append((config.default_checkpoint, changed))
    for steps in config.ablations.lm_adaptation_steps:
        settings.append((f"lm_{steps}" if steps else "span_corruption", default))
    return settings
