"""The grid: from a configuration to all of its jobs."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from promptscale.config.axes import (
    AXES,
    Setting,
    adaptation_steps,
    checkpoint_name,
    continued_name,
    further_steps,
    pretraining_seed,
    seeded_name,
    variant_name,
)
from promptscale.config.jobs import (
    AnyJob,
    LanguageModelingJob,
    ModelTuningJob,
    MultitaskTuningJob,
    PromptDesignJob,
    PromptTuningJob,
    Trial,
)
from promptscale.config.schema import Config
from promptscale.config.settings import LanguageModeling, Optimizer
from promptscale.errors import ConfigError

Block = tuple[Sequence[str], Sequence[int]]  # tasks and seeds of a job
Job = TypeVar("Job", bound=AnyJob)
SearchedMethod = Literal["prompt_tuning", "model_tuning"]


def prompt_settings(config: Config) -> dict[str, list[Setting]]:
    """The settings of prompt tuning by axis of the ablations; each axis has the default too."""
    default = config.default_setting
    return {
        name: _unique(
            [default, *(axis.setting(default, x) for x in config.ablations.get(name, ()))]
        )
        for name, axis in AXES.items()
    }


def prompt_jobs(config: Config, axis: str | None = None) -> list[PromptTuningJob]:
    """Prompt tuning with the default setting and those of the ablations, or of a single `axis`."""
    axes = prompt_settings(config)
    chosen = [axes[axis]] if axis else axes.values()
    settings = _unique([setting for settings in chosen for setting in settings])
    return _prompt_jobs(config, config.sizes, settings, config.tasks, config.seeds)


def _default_jobs(
    config: Config, size: str, tasks: Sequence[str], seeds: Sequence[int]
) -> list[PromptTuningJob]:
    return _prompt_jobs(config, [size], [config.default_setting], tasks, seeds)


def ensemble_jobs(config: Config) -> dict[str, list[PromptTuningJob]]:
    """By size, the jobs whose prompts vote: those of the default, and those of further seeds.

    All of them are prompts of the first pre-trained model.
    """
    if not (ensembles := config.ensembles):
        return {}
    grids = [seed for seed in config.seeds if seed in ensembles.seeds]
    further = [seed for seed in ensembles.seeds if seed not in config.seeds]
    return {
        size: [
            job
            for seeds in (grids, further)
            for job in _default_jobs(config, size, config.tasks, seeds)
        ]
        for size in ensembles.sizes
    }


def convergence_jobs(config: Config) -> list[PromptTuningJob]:
    """The lengths of Table 5 that no ablation has, on its task."""
    if not (convergence := config.convergence):
        return []
    axis, default = AXES["prompt_length"], config.default_setting
    settings = [axis.setting(default, length) for length in convergence.prompt_length]
    ablated = prompt_settings(config)["prompt_length"]
    further = [setting for setting in settings if setting not in ablated]
    return _prompt_jobs(config, config.sizes, further, [convergence.task], config.seeds)


def published_prompts_job(config: Config) -> PromptTuningJob | None:
    """A job with a run for each published prompt, which is evaluated and not trained."""
    if not (published := config.published_prompts):
        return None
    block = (published.tasks, config.seeds[:1])
    checkpoint, settings = config.default_checkpoint, config.prompt_tuning
    (job,) = _jobs(PromptTuningJob, config, published.size, checkpoint, [block], settings=settings)
    return job


def model_jobs(config: Config) -> list[ModelTuningJob | MultitaskTuningJob]:
    """Model tuning per task, and on the mixture of all."""
    jobs: list[ModelTuningJob | MultitaskTuningJob] = []
    for size in config.sizes:
        jobs += _model_jobs(config, size, config.tasks)
        if multitask := config.multitask_tuning:
            runs = config.runs_per_job.model_tuning
            blocks = [
                (config.tasks, seeds)
                for group in _by_model(config, config.seeds)
                for seeds in _slices(group, runs)
            ]
            start = multitask.checkpoint
            jobs += _jobs(MultitaskTuningJob, config, size, start, blocks, settings=multitask)
    return jobs


def domain_shift_jobs(config: Config) -> list[PromptTuningJob | ModelTuningJob]:
    """Both methods on the tasks whose runs are evaluated on other tasks too.

    Those of the grid's tasks are jobs of the grid; a task outside the grid has its jobs here.
    """
    jobs: list[PromptTuningJob | ModelTuningJob] = []
    if shift := config.domain_shift:
        outside = tuple(task for task in shift.evaluate_on if task not in config.tasks)
        for size in shift.sizes:
            for tasks in (config.tasks, outside):
                jobs += _default_jobs(config, size, tasks, config.seeds)
                jobs += _model_jobs(config, size, tasks)
    return [job for job in jobs if job.transfer_tasks]


def prompt_design_jobs(config: Config) -> list[PromptDesignJob]:
    """Text prompts for the default checkpoint of every size."""
    checkpoint = config.default_checkpoint
    blocks = [(config.tasks, seeds) for seeds in _by_model(config, config.seeds)]
    jobs = []
    if design := config.prompt_design:
        for size in config.sizes:
            jobs += _jobs(PromptDesignJob, config, size, checkpoint, blocks, settings=design)
    return jobs


def trials(
    config: Config, method: SearchedMethod = "prompt_tuning"
) -> list[tuple[int, int, Optimizer]]:
    """The trials of a method's search: batch size, steps and optimiser.

    They are drawn with the search's seed, so both methods try the same settings.
    """
    search, settings = config.hyperparameter_search, getattr(config, method)
    if not (search and settings):
        return []
    space, draw = search.space, Random(search.seed)
    low, high = map(math.log, space.learning_rate)
    drawn = []
    for _ in range(search.trials if method == "prompt_tuning" else search.model_tuning_trials):
        rounded = float(f"{math.exp(draw.uniform(low, high)):.3g}")
        fields = {
            "learning_rate": min(max(rounded, space.learning_rate[0]), space.learning_rate[1])
        }
        for name in ("parameter_scaling", "warmup_steps", "decay_factor", "steps_per_decay"):
            fields[name] = draw.choice(getattr(space, name))
        optimizer = settings.optimizer.model_copy(update=fields)
        drawn.append((draw.choice(space.batch_size), draw.choice(space.steps), optimizer))
    return drawn


def search_jobs(config: Config) -> list[PromptTuningJob | ModelTuningJob]:
    """The jobs of the search.

    All trials of prompt tuning with the same batch size and number of steps are a job. A trial of
    model tuning has a job for every so many tasks as `runs_per_job` allows.
    """
    if not (search := config.hyperparameter_search):
        return []
    jobs: list[PromptTuningJob | ModelTuningJob] = []
    blocks: list[Block] = [(config.tasks, config.seeds[:1])]
    for settings, group in _trials_by_shape(config, "prompt_tuning"):
        fields: dict[str, Any] = {"settings": settings, "trials": tuple(group)}
        jobs += _jobs(
            PromptTuningJob, config, search.size, config.default_checkpoint, blocks, **fields
        )
    blocks = _blocks(config, config.tasks, config.seeds[:1], config.runs_per_job.model_tuning)
    for settings, group in _trials_by_shape(config, "model_tuning"):
        for trial in group:
            fields = {"settings": settings, "trials": (trial,)}
            jobs += _jobs(
                ModelTuningJob, config, search.size, settings.checkpoint, blocks, **fields
            )
    return jobs


def _trials_by_shape(config: Config, method: SearchedMethod) -> Iterator[tuple[Any, list[Trial]]]:
    """The trials of each batch size and number of steps, with the settings that they share."""
    by_shape: dict[tuple[int, int], list[Trial]] = {}
    for number, (batch_size, steps, optimizer) in enumerate(trials(config, method)):
        trial = Trial(number=number, optimizer=optimizer)
        by_shape.setdefault((batch_size, steps), []).append(trial)
    for (batch_size, steps), group in by_shape.items():
        shape = {"batch_size": batch_size, "steps": steps}
        yield getattr(config, method).model_copy(update=shape), group


def all_jobs(config: Config) -> dict[str, AnyJob]:
    """Every job that leaves rows in `runs.csv`, by name, in a stable order without duplicates."""
    jobs: list[AnyJob] = [
        *prompt_jobs(config),
        *(job for jobs in ensemble_jobs(config).values() for job in jobs),
        *convergence_jobs(config),
        *model_jobs(config),
        *domain_shift_jobs(config),
        *prompt_design_jobs(config),
    ]
    return {job.name: job for job in jobs}


def check_names(jobs: Iterable[AnyJob]) -> None:
    """Checks the names of all jobs of a configuration, which is done once, when it is validated.

    Raises:
      ConfigError: two different jobs have the same name, or a run is in two jobs.
    """
    by_name: dict[str, AnyJob] = {}
    by_run: dict[str, str] = {}
    for job in jobs:
        if by_name.setdefault(job.name, job) != job:
            raise ConfigError(f"Two different jobs have the name {job.name}.")
        for run in map(job.run_name, job.runs):
            if by_run.setdefault(run, job.name) != job.name:
                raise ConfigError(f"The run {run} is in two jobs, {by_run[run]} and {job.name}.")


def language_modeling_job(config: Config, size: str, checkpoint: str) -> LanguageModelingJob:
    """The job that trains a checkpoint of a size.

    Raises:
      KeyError: the configuration has no settings for such a training.
    """
    seed = pretraining_seed(checkpoint)
    steps, first = further_steps(checkpoint), further_steps(start_of(config, checkpoint) or "")
    settings = config.pretraining
    if steps and config.lm_adaptation:
        settings = LanguageModeling(steps=steps - first, **dict(config.lm_adaptation))
    if settings is None:
        raise KeyError(f"{checkpoint} is not trained in this configuration")
    if steps and not adaptation_steps(checkpoint) and config.pretraining:
        first += config.pretraining.steps  # span corruption goes on with the next batch
    return LanguageModelingJob(
        size=size,
        architecture=config.all_sizes[size],
        checkpoint=checkpoint,
        first_step=first,
        seed=config.pretraining_seeds[0] if seed is None else seed,
        settings=settings,
    )


def start_of(config: Config, checkpoint: str) -> str | None:
    """The checkpoint that the training of `checkpoint` continues; None for pre-training.

    An adaptation continues the longest shorter adaptation: with a schedule that does not depend on
    the number of steps, the result is the same. Span corruption is continued in the same way.
    """
    steps = further_steps(checkpoint)
    if not steps:
        return None
    shorter = max((other for other in _sources(config, checkpoint) if other < steps), default=0)
    name = checkpoint_name if adaptation_steps(checkpoint) or not shorter else continued_name
    seed = pretraining_seed(checkpoint)
    return name(shorter) if seed is None else seeded_name(name(shorter), seed)


def checkpoint_of(config: Config, checkpoint: str, seed: int) -> str:
    """The name of the checkpoint that a setting with `checkpoint` starts from for a prompt's seed.

    The models of the first pre-training have the names of the configuration.
    """
    pretrained = config.pretraining_seed(seed)
    first = pretrained == config.pretraining_seeds[0]
    return checkpoint if first else seeded_name(checkpoint, pretrained)


def checkpoints_of(config: Config, checkpoint: str) -> list[str]:
    """The names of a checkpoint for all pre-trainings."""
    return list(dict.fromkeys(checkpoint_of(config, checkpoint, seed) for seed in config.seeds))


def source(config: Config, size: str, checkpoint: str) -> str:
    """The source of a checkpoint: `train`, or its location."""
    steps = further_steps(checkpoint)
    template = _sources(config, checkpoint)[steps] if steps else config.checkpoints.span_corruption
    return template.replace("{size}", size)


def _sources(config: Config, checkpoint: str) -> Mapping[int, str]:
    """By steps, the sources of the checkpoints after pre-training that share the objective."""
    adapted, sources = adaptation_steps(checkpoint), config.checkpoints
    return sources.lm_adaptation if adapted else sources.span_corruption_continued


def _prompt_jobs(
    config: Config,
    sizes: Iterable[str],
    settings: Sequence[Setting],
    tasks: Sequence[str],
    seeds: Sequence[int],
) -> list[PromptTuningJob]:
    blocks = _blocks(config, tasks, seeds, config.runs_per_job.prompt_tuning)
    jobs = []
    for size, setting in itertools.product(sizes, settings):
        variant = variant_name(setting, config.default_setting)
        default = setting == config.default_setting and set(seeds) <= set(config.seeds)
        shift = _domain_shift(config, size) if default else {}
        fields: dict[str, Any] = {"settings": setting.prompts, "variant": variant}
        jobs += _jobs(PromptTuningJob, config, size, setting.checkpoint, blocks, shift, **fields)
    return jobs


def _model_jobs(config: Config, size: str, tasks: Sequence[str]) -> list[ModelTuningJob]:
    if not (tuning := config.model_tuning):
        return []
    blocks = _blocks(config, tasks, config.seeds, config.runs_per_job.model_tuning)
    shift = _domain_shift(config, size)
    return _jobs(ModelTuningJob, config, size, tuning.checkpoint, blocks, shift, settings=tuning)


def _domain_shift(config: Config, size: str) -> Mapping[str, tuple[str, ...]]:
    """By task, the other tasks that its runs at a size are evaluated on."""
    shift = config.domain_shift
    return shift.evaluate_on if shift and size in shift.sizes else {}


def _jobs(
    kind: type[Job],
    config: Config,
    size: str,
    checkpoint: str,
    blocks: Iterable[Block],
    others: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    **fields: Any,
) -> list[Job]:
    """A job of a kind for each block of tasks and seeds; `others` are evaluated on too.

    The seeds of a block start from the same pre-trained model.
    """
    return [
        kind(
            origin=config.origin,
            label=config.label,
            size=size,
            architecture=config.all_sizes[size],
            checkpoint=checkpoint_of(config, checkpoint, seeds[0]),
            pretraining_seed=config.pretraining_seed(seeds[0]),
            tasks=tuple(tasks),
            seeds=tuple(seeds),
            transfer_tasks={task: others[task] for task in tasks if task in others},
            evaluation=config.evaluation,
            **fields,
        )
        for tasks, seeds in blocks
    ]


def _by_model(config: Config, seeds: Iterable[int]) -> list[list[int]]:
    """The seeds in groups that start from the same pre-trained model."""
    groups: dict[int, list[int]] = {}
    for seed in seeds:
        groups.setdefault(config.pretraining_seed(seed), []).append(seed)
    return list(groups.values())


def _blocks(config: Config, tasks: Sequence[str], seeds: Sequence[int], runs: int) -> list[Block]:
    """Tasks x seeds in blocks of at most `runs`; a task's seeds stay together if they fit."""
    blocks: list[Block] = []
    for group in _by_model(config, seeds):
        if runs >= len(group):
            blocks += [(some, group) for some in _slices(tasks, runs // len(group))]
        else:
            blocks += [((task,), part) for task in tasks for part in _slices(group, runs)]
    return blocks


def _slices(items: Sequence, size: int) -> list[Sequence]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _unique(settings: list[Setting]) -> list[Setting]:
    """The settings without repetitions: an ablation's value may be the default's."""
    return list({repr(setting): setting for setting in settings}.values())
