"""The grid: from a configuration to all of its jobs."""

import math
from collections.abc import Iterable, Sequence
from random import Random

from promptscale.config.jobs import (
    AnyJob,
    LanguageModelingJob,
    ModelTuningJob,
    MultitaskTuningJob,
    PromptDesignJob,
    PromptTuningJob,
    adaptation_steps,
    checkpoint_name,
)
from promptscale.config.schema import Config, Optimizer, PromptTuning

Setting = tuple[str, PromptTuning]  # frozen model and how prompts are tuned on it


def prompt_settings(config: Config) -> dict[str, list[Setting]]:
    """The settings of prompt tuning by axis of the ablations; each axis has the default too."""
    checkpoint, default = config.default_checkpoint, config.prompt_tuning
    ablations = config.ablations

    def changed(**fields) -> PromptTuning:
        return default.model_copy(update=fields)

    starts = [
        default.initialization.model_copy(update={"method": method})
        for method in ablations.initialization
    ]
    steps = ablations.lm_adaptation_steps
    objectives = ablations.pretraining_objective
    axes: dict[str, list[Setting]] = {
        "prompt_length": [(checkpoint, changed(prompt_length=n)) for n in ablations.prompt_length],
        "initialization": [(checkpoint, changed(initialization=start)) for start in starts],
        "pretraining_objective": [
            ("span_corruption", changed(sentinel=name.endswith("sentinel"))) for name in objectives
        ],
        "lm_adaptation": [(checkpoint_name(n), default) for n in steps],
    }
    # An ablation's value may be the default's: the same setting.
    return {
        axis: _once([(checkpoint, default), *settings], key=repr) for axis, settings in axes.items()
    }


def prompt_jobs(config: Config, axis: str | None = None) -> list[PromptTuningJob]:
    """The default's and the ablations' prompt tuning, or that of one axis alone."""
    axes = prompt_settings(config)
    chosen = [axes[axis]] if axis else list(axes.values())
    settings = _once([setting for settings in chosen for setting in settings], key=repr)
    return [
        job
        for size in config.sizes
        for checkpoint, setting in settings
        for job in _prompt_jobs(config, size, checkpoint, setting, config.tasks, config.seeds)
    ]


def ensemble_jobs(config: Config) -> dict[str, list[PromptTuningJob]]:
    """By size, the jobs whose prompts vote: the default's, and those of the further seeds."""
    ensembles = config.ensembles
    if ensembles is None:
        return {}
    further = [seed for seed in ensembles.seeds if seed not in config.seeds]
    return {
        size: [
            job
            for seeds in (config.seeds, further)
            for job in _prompt_jobs(
                config, size, config.default_checkpoint, config.prompt_tuning, config.tasks, seeds
            )
        ]
        for size in ensembles.sizes
    }


def convergence_jobs(config: Config) -> list[PromptTuningJob]:
    """The lengths of Table 5 that no ablation has, on its task."""
    if config.convergence is None:
        return []
    done = {s.prompt_length for _, s in prompt_settings(config)["prompt_length"]}
    return [
        job
        for size in config.sizes
        for length in config.convergence.prompt_length
        if length not in done
        for job in _prompt_jobs(
            config,
            size,
            config.default_checkpoint,
            config.prompt_tuning.model_copy(update={"prompt_length": length}),
            (config.convergence.task,),
            config.seeds,
        )
    ]


def model_jobs(config: Config) -> list[ModelTuningJob | MultitaskTuningJob]:
    """Model tuning per task, and on the mixture of all."""
    jobs: list[ModelTuningJob | MultitaskTuningJob] = []
    together = config.runs_per_job.model_tuning
    for size in config.sizes:
        if tuning := config.model_tuning:
            for tasks, seeds in _groups(config.tasks, config.seeds, together):
                common = _common(config, size, tuning.checkpoint, tasks, seeds)
                jobs.append(ModelTuningJob(settings=tuning, **common))
        if multitask := config.multitask_tuning:
            for seeds in _chunks(config.seeds, together):
                common = _common(config, size, multitask.checkpoint, config.tasks, seeds)
                jobs.append(MultitaskTuningJob(settings=multitask, **common))
    return jobs


def domain_shift_jobs(config: Config) -> list[PromptTuningJob | ModelTuningJob]:
    """Both methods on the tasks whose runs are evaluated on other tasks too."""
    shift = config.domain_shift
    jobs: list[PromptTuningJob | ModelTuningJob] = []
    for size in shift.sizes if shift else ():
        tasks = tuple(shift.evaluate_on) if shift else ()
        checkpoint, prompts, tuning = (
            config.default_checkpoint,
            config.prompt_tuning,
            config.model_tuning,
        )
        jobs += _prompt_jobs(config, size, checkpoint, prompts, tasks, config.seeds)
        if tuning:
            for group, seeds in _groups(tasks, config.seeds, config.runs_per_job.model_tuning):
                common = _common(config, size, tuning.checkpoint, group, seeds)
                jobs.append(ModelTuningJob(settings=tuning, **common))
    return jobs


def prompt_design_jobs(config: Config) -> list[PromptDesignJob]:
    """Text prompts for the default frozen model of every size."""
    design = config.prompt_design
    if design is None:
        return []
    return [
        PromptDesignJob(
            settings=design,
            **_common(config, size, config.default_checkpoint, config.tasks, config.seeds),
        )
        for size in config.sizes
    ]


def trials(config: Config) -> list[tuple[int, int, Optimizer]]:
    """The search's trials: batch size, steps and optimiser, drawn from the space by its seed."""
    search = config.hyperparameter_search
    if search is None:
        return []
    space, draw = search.space, Random(search.seed)
    drawn = []
    for _ in range(search.trials):
        low, high = map(math.log, space.learning_rate)
        optimizer = config.prompt_tuning.optimizer.model_copy(
            update={
                "learning_rate": float(f"{math.exp(draw.uniform(low, high)):.3g}"),
                "parameter_scaling": draw.choice(space.parameter_scaling),
                "warmup_steps": draw.choice(space.warmup_steps),
                "decay_factor": draw.choice(space.decay_factor),
                "steps_per_decay": draw.choice(space.steps_per_decay),
            }
        )
        drawn.append((draw.choice(space.batch_size), draw.choice(space.steps), optimizer))
    return drawn


def search_jobs(config: Config) -> list[PromptTuningJob]:
    """The search: one job for all trials of a batch size and number of steps."""
    search = config.hyperparameter_search
    if search is None:
        return []
    groups: dict[tuple[int, int], list[Optimizer]] = {}
    for batch_size, steps, optimizer in trials(config):
        groups.setdefault((batch_size, steps), []).append(optimizer)
    return [
        PromptTuningJob(
            settings=config.prompt_tuning.model_copy(
                update={"batch_size": batch_size, "steps": steps}
            ),
            trials=tuple(optimizers),
            **_common(
                config, search.size, config.default_checkpoint, config.tasks, config.seeds[:1]
            ),
        )
        for (batch_size, steps), optimizers in groups.items()
    ]


def all_jobs(config: Config) -> dict[str, AnyJob]:
    """Every job that leaves rows in `runs.csv`, by name, each once and in a stable order."""
    ensembles = [job for jobs in ensemble_jobs(config).values() for job in jobs]
    jobs: list[AnyJob] = [
        *prompt_jobs(config),
        *ensembles,
        *convergence_jobs(config),
        *model_jobs(config),
        *domain_shift_jobs(config),
        *prompt_design_jobs(config),
    ]
    return {job.name: job for job in jobs}


def language_modeling_job(config: Config, size: str, checkpoint: str) -> LanguageModelingJob:
    """The job that trains the frozen model `checkpoint` of one size."""
    steps = adaptation_steps(checkpoint)
    settings = config.lm_adaptation if steps else config.pretraining
    if settings is None:
        raise KeyError(f"{checkpoint} is not trained in this configuration")
    first = adaptation_steps(start_of(config, checkpoint) or "") if steps else 0
    if steps:
        settings = settings.model_copy(update={"steps": steps - first})
    return LanguageModelingJob(
        size=size,
        architecture=config.all_sizes[size],
        checkpoint=checkpoint,
        first_step=first,
        settings=settings,
    )


def start_of(config: Config, checkpoint: str) -> str | None:
    """The frozen model that the training of `checkpoint` continues, if any.

    An adaptation continues the longest shorter one: with a schedule that does not depend on the
    number of steps, that is the same training.
    """
    steps = adaptation_steps(checkpoint)
    if not steps:
        return None
    shorter = [other for other in config.checkpoints.lm_adaptation if other < steps]
    return checkpoint_name(max(shorter, default=0))


def source(config: Config, size: str, checkpoint: str) -> str:
    """Where the frozen model comes from: `train`, or its location."""
    checkpoints = config.checkpoints
    steps = adaptation_steps(checkpoint)
    template = checkpoints.lm_adaptation[steps] if steps else checkpoints.span_corruption
    return template.replace("{size}", size)


def _prompt_jobs(
    config: Config,
    size: str,
    checkpoint: str,
    setting: PromptTuning,
    tasks: Sequence[str],
    seeds: Sequence[int],
) -> list[PromptTuningJob]:
    return [
        PromptTuningJob(settings=setting, **_common(config, size, checkpoint, group, some))
        for group, some in _groups(tasks, seeds, config.runs_per_job.prompt_tuning)
    ]


def _common(
    config: Config, size: str, checkpoint: str, tasks: Sequence[str], seeds: Sequence[int]
) -> dict:
    shift = config.domain_shift
    others = shift.evaluate_on if shift and size in shift.sizes else {}
    return {
        "world": config.world,
        "size": size,
        "architecture": config.all_sizes[size],
        "checkpoint": checkpoint,
        "tasks": tuple(tasks),
        "seeds": tuple(seeds),
        "transfer_tasks": {task: others[task] for task in tasks if task in others},
        "evaluation": config.evaluation,
    }


def _groups(
    tasks: Sequence[str], seeds: Sequence[int], runs: int
) -> Iterable[tuple[Sequence[str], Sequence[int]]]:
    """Tasks x seeds cut into blocks of at most `runs`: all seeds of a task together if they fit."""
    if not seeds:
        return
    if runs >= len(seeds):
        for group in _chunks(tasks, runs // len(seeds)):
            yield group, seeds
    else:
        for task in tasks:
            for some in _chunks(seeds, runs):
                yield (task,), some


def _chunks(items: Sequence, size: int) -> list[Sequence]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _once(items: Iterable, key) -> list:
    return list({key(item): item for item in items}.values())
