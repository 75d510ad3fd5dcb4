"""What values of a configuration must have in common: a short function for each rule.

A rule yields a sentence for each fault. The rules are tried in order, and the first with a fault
ends the check, because later rules rely on earlier rules.
"""

import os
from collections.abc import Callable, Iterable, Iterator

from promptscale.config import grid
from promptscale.config.accelerators import accelerators
from promptscale.config.axes import AXES, adaptation_steps
from promptscale.config.faults import known, shown
from promptscale.config.schema import Config, Data
from promptscale.config.settings import ModelTuning, Optimizer, PromptTuning
from promptscale.config.sizes import SIZES
from promptscale.config.tasks import GENERATED_ROWS, TASKS
from promptscale.errors import ConfigError
from promptscale.storage.location import is_remote, resolve

TRAINABLE = tuple(name for name, task in TASKS.items() if "train" in task.splits)

_GENERATED_SEPARATORS = (".", ",", ":", "?", "*")
_GENERATED_VOCABULARY = SIZES["mini-small"].vocab_size

Sentences = Iterator[str]


def faults(config: Config) -> list[str]:
    """The sentences of the first rule that the configuration breaks; none if it is valid."""
    return next(filter(None, (list(rule(config)) for rule in _RULES)), [])


def _architectures(config: Config) -> Sentences:
    for name, architecture in config.architectures.items():
        if name in SIZES:
            yield f"architectures has {name!r}, which is built in; give it another name."
        buckets = architecture.relative_attention_num_buckets
        if buckets < 4 or architecture.relative_attention_max_distance <= buckets // 2:
            yield (
                f"architectures.{name} needs relative_attention_num_buckets of 4 or more, and "
                "relative_attention_max_distance of more than half of that."
            )
        if config.data.generated and architecture.vocab_size < _GENERATED_VOCABULARY:
            yield (
                f"architectures.{name}.vocab_size is {architecture.vocab_size}; it should be "
                f"{_GENERATED_VOCABULARY} or more for the vocabulary of the generated data."
            )


def _names(config: Config) -> Sentences:
    shift, multitask = config.domain_shift, config.multitask_tuning
    yield from known("sizes", config.sizes, config.all_sizes)
    yield from known("tasks", config.tasks, TRAINABLE)
    yield from known("hardware", config.hardware, config.all_sizes)
    yield from known(
        "multitask_tuning.auxiliary", multitask.auxiliary if multitask else (), TRAINABLE
    )
    published = config.published_prompts
    yield from known("published_prompts.tasks", published.tasks if published else (), TRAINABLE)
    for task, others in shift.evaluate_on.items() if shift else ():
        yield from known("domain_shift.evaluate_on", [task], TRAINABLE)
        yield from known(f"domain_shift.evaluate_on.{task}", others, TASKS)
        if task in others:
            yield f"domain_shift.evaluate_on.{task} has {task!r} itself; it is evaluated anyway."


def _names_of_the_grid(config: Config) -> Sentences:
    shift, vote, search = config.domain_shift, config.ensembles, config.hyperparameter_search
    yield from known("domain_shift.sizes", shift.sizes if shift else (), config.sizes)
    yield from known("ensembles.sizes", vote.sizes if vote else (), config.sizes)
    yield from known("hyperparameter_search.size", [search.size] if search else (), config.sizes)
    published = config.published_prompts
    yield from known("published_prompts.size", [published.size] if published else (), config.sizes)
    task = config.convergence and config.convergence.task
    yield from known("convergence.task", [task] if task else (), config.tasks)
    firsts = {s for s in config.seeds if config.pretraining_seed(s) == config.pretraining_seeds[0]}
    if vote and not firsts <= set(vote.seeds):
        yield "ensembles.seeds must contain the seeds of all other runs."
    elif vote and (others := {*vote.seeds} & {*config.seeds} - firsts):
        yield (
            f"ensembles.seeds has {min(others)}, but the prompts of this seed are tuned on another "
            "pre-trained model than those of the first seed; take a seed that is not in seeds."
        )


def _checkpoint_names(config: Config) -> Sentences:
    names = config.checkpoint_names
    yield from known("default_checkpoint", [config.default_checkpoint], names)
    for key in ("model_tuning", "multitask_tuning"):
        if section := getattr(config, key):
            yield from known(f"{key}.checkpoint", [section.checkpoint], names)


def _checkpoint_sources(config: Config) -> Sentences:
    checkpoints = config.checkpoints
    sources = {
        "checkpoints.span_corruption": checkpoints.span_corruption,
        **{
            f"checkpoints.{key}.{n}": source
            for key in ("lm_adaptation", "span_corruption_continued")
            for n, source in getattr(checkpoints, key).items()
        },
    }
    if checkpoints.span_corruption == "train" and not config.pretraining:
        yield "checkpoints.span_corruption is 'train', so the section pretraining is needed."
    for key in ("lm_adaptation", "span_corruption_continued"):
        if "train" in getattr(checkpoints, key).values() and not config.lm_adaptation:
            yield f"checkpoints.{key} has 'train', so the section lm_adaptation is needed."
    if len(config.pretraining_seeds) > len(config.seeds):
        yield "pretraining_seeds has more values than seeds, whose runs take the models in turn."
    if len(config.pretraining_seeds) > 1 and (
        given := [key for key, source in sources.items() if source != "train"]
    ):
        yield f"pretraining_seeds has several values, so {given[0]} should be 'train'."
    keys: dict[str, str] = {}  # by the location of a size's checkpoint
    for key, location in sources.items():
        if location == "train":
            continue
        if len(config.sizes) > 1 and "{size}" not in location:
            yield f"{key} is {location!r}; it should have {{size}} in it, as sizes has several."
            return
        for size in config.sizes:
            try:
                place = resolve(location.replace("{size}", size), ConfigError)
            except ConfigError as error:
                yield f"{key} is refused: {error}"
                return
            if other := keys.get(os.path.normpath(place)):
                yield f"{key} is {location!r}, and so is another checkpoint, {other}."
                return
            keys[os.path.normpath(place)] = key


def _data(config: Config) -> Sentences:
    data = config.data
    if data.generated and config.origin != "generated":
        yield "origin is 'real', but data.generated is true; it must be 'generated'."
    if config.origin == "generated" and not data.generated:
        yield "origin is 'generated', but data.generated is false; it must be 'real'."
    for key in ("vocabulary", "data_dir", "local_files", "substitutes"):
        if data.generated and getattr(data, key):
            yield f"data.{key} is given, but data.generated is true; generated data have their own."
    if data.generated and data.corpus != Data().corpus:
        yield (
            f"data.corpus is {data.corpus!r}, but data.generated is true; the generated corpus "
            f"is {Data().corpus!r}."
        )
    if data.download and is_remote(data.data_dir):
        yield f"data.data_dir is {data.data_dir!r}; a download needs a local folder."
    if data.seed and not data.generated:
        yield f"data.seed is {data.seed}, but data.generated is false; published data have no seed."
    if not data.generated and data.vocabulary is None:
        yield "data.vocabulary is needed: the path of a SentencePiece model."
    if data.corpus_shards_used > data.corpus_shards:
        yield "data.corpus_shards_used is more than data.corpus_shards."
    splits = {f"{name}/{split}" for name, task in TASKS.items() for split in task.splits}
    corpus = f"{data.corpus.split(':')[0]}/train"
    yield from known("data.substitutes", data.substitutes, [*sorted(splits), corpus])
    if data.substitutes and not (data.local_files or data.generated):
        yield "data.substitutes needs data.local_files, the folder of the files that it names."


def _paths(config: Config) -> Sentences:
    folders = {key: path for key, path in config.paths if path and not is_remote(path)}
    for key, path in folders.items():
        if path in ("/", "."):
            yield f"paths.{key} is {path!r}; it should be a folder of its own."
    if config.paths.results == config.paths.figures:
        yield "paths.results and paths.figures are the same folder; they should be two."


def _ablations(config: Config) -> Sentences:
    for axis, values in config.ablations.items():
        for value in values:
            place = f"ablations.{axis} with {value!r}"
            try:
                setting = AXES[axis].setting(config.default_setting, value)
            except ValueError as error:
                yield f"{place} is refused: {_message(error)}."
                continue
            yield from known(place, [setting.checkpoint], config.checkpoint_names)


def _message(error: ValueError) -> str:
    """The first fault of a setting, as pydantic reports it."""
    return error.errors()[0]["msg"].removeprefix("Value error, ")  # type: ignore[attr-defined]


def _prompts(config: Config) -> Sentences:
    settings = _settings(config)
    if config.prompt_tuning.sentinel and config.ablations.get("lm_adaptation_steps"):
        yield "ablations.lm_adaptation_steps needs prompt_tuning.sentinel to be false."
        return
    for checkpoint, prompts in settings:
        if prompts.sentinel and adaptation_steps(checkpoint):
            yield (
                "prompt_tuning.sentinel is true, but prompts are tuned on the LM-adapted "
                f"checkpoint {checkpoint!r} too; only span corruption has sentinels."
            )
            return
        if prompts.sentinel and prompts.max_target_length == 2:
            yield "prompt_tuning.max_target_length is 2; it should be 3 or more with a sentinel."
            return
    used = {prompts.initialization.method for _, prompts in settings}
    start = config.prompt_tuning.initialization
    for method in ("text", "file"):
        if getattr(start, method) and method not in used:
            yield f"prompt_tuning.initialization.{method} is given, but no prompt starts from it."
    widths = {config.all_sizes[size].d_model for size in config.sizes}
    lengths = {
        prompts.prompt_length for _, prompts in settings if prompts.initialization.method == "file"
    }
    if "file" in used and (len(widths) > 1 or len(lengths) > 1):
        yield (
            "prompt_tuning.initialization.file is a prompt of one length and one d_model, but "
            f"prompts of {len(lengths)} lengths and {len(widths)} values of d_model start from it."
        )


def _settings(config: Config) -> list[tuple[str, PromptTuning]]:
    """The checkpoint and the prompts of every setting of prompt tuning."""
    settings = [setting for axis in grid.prompt_settings(config).values() for setting in axis]
    if config.convergence:
        change = AXES["prompt_length"].setting
        lengths = config.convergence.prompt_length
        settings += [change(config.default_setting, length) for length in lengths]
    return [(checkpoint, prompts) for checkpoint, prompts in settings if prompts]


def _optimizers(config: Config) -> Sentences:
    for key, optimizer in _sections(config):
        set_keys = optimizer.model_fields_set
        if optimizer.decay_factor is not None and "steps_per_decay" not in set_keys:
            yield f"{key}.decay_factor needs the key steps_per_decay."
        if optimizer.decay_factor is not None and optimizer.schedule == "rsqrt":
            yield f"{key}.decay_factor has no effect with the schedule 'rsqrt'."
        if optimizer.decay_factor is None and optimizer.steps_per_decay != 1:
            yield f"{key}.steps_per_decay has no effect without decay_factor."
    if not (search := config.hyperparameter_search):
        return
    space, key = search.space, "hyperparameter_search.space"
    decays = space.decay_factor != (None,)
    searched: dict[str, PromptTuning | ModelTuning] = {"prompt_tuning": config.prompt_tuning}
    if search.model_tuning_trials and config.model_tuning:
        searched["model_tuning"] = config.model_tuning
    for method, settings in searched.items():
        if decays and settings.optimizer.schedule == "rsqrt":
            yield (
                f"{key}.decay_factor has no effect with {method}.optimizer.schedule 'rsqrt'; it "
                "should be [null]."
            )
    if search.model_tuning_trials and not config.model_tuning:
        yield "hyperparameter_search.model_tuning_trials needs the section model_tuning."
    if not decays and "steps_per_decay" in space.model_fields_set:
        yield f"{key}.steps_per_decay has no effect without a decay_factor."


def _sections(config: Config) -> Iterator[tuple[str, Optimizer]]:
    for key in (
        "pretraining",
        "lm_adaptation",
        "prompt_tuning",
        "model_tuning",
        "multitask_tuning",
    ):
        if section := getattr(config, key):
            yield f"{key}.optimizer", section.optimizer


def _continued_adaptation(config: Config) -> Sentences:
    """An adaptation that continues another would begin its schedule anew."""
    checkpoints = config.checkpoints
    continued = [
        n
        for sources in (checkpoints.lm_adaptation, checkpoints.span_corruption_continued)
        for n in sources
        if sources[n] == "train" and min(sources) < n
    ]
    if not (continued and config.lm_adaptation):
        return
    optimizer = config.lm_adaptation.optimizer
    for key, neutral in (
        ("warmup_steps", 0),
        ("decay_factor", None),
        ("step_offset", "checkpoint"),
    ):
        if key == "warmup_steps" and optimizer.schedule == "rsqrt":
            continue  # counted from the checkpoint's step
        if getattr(optimizer, key) != neutral:
            yield (
                f"lm_adaptation.optimizer.{key} is {shown(getattr(optimizer, key))}, but an "
                "adaptation that continues a shorter adaptation would count from 0 again; leave "
                "it out, or use the schedule 'rsqrt'."
            )
            return


def _prompt_design(config: Config) -> Sentences:
    if not (design := config.prompt_design):
        return
    labels = {label for task in config.tasks for label in TASKS[task].labels}
    if cut := sorted(label for label in labels if design.separator.strip() in label):
        yield (
            f"prompt_design.separator is {design.separator!r}, which is in the answer {cut[0]!r}; "
            "it should be in no answer."
        )
    elif config.data.generated and design.separator.strip() not in _GENERATED_SEPARATORS:
        yield (
            f"prompt_design.separator is {design.separator!r}; the vocabulary of the generated "
            f"data has only the marks {' '.join(_GENERATED_SEPARATORS)} in it."
        )
    counts = {task: TASKS[task].rows["train"] for task in config.tasks}
    if config.data.generated:
        counts = dict.fromkeys(config.tasks, GENERATED_ROWS)
    fewest = min(counts, key=counts.__getitem__)
    if design.shots > (rows := counts[fewest]):
        yield f"prompt_design.shots is {design.shots}, but {fewest} has {rows} training examples."


def _hardware(config: Config) -> Sentences:
    for size, hardware in config.hardware.items():
        name = hardware.accelerator
        yield from known(f"hardware.{size}.accelerator", [name], accelerators())
        if name in accelerators() and accelerators()[name].devices % hardware.model_axis:
            devices = accelerators()[name].devices
            yield f"hardware.{size}.model_axis should divide the {devices} devices of {name}."


def _jobs(config: Config) -> Sentences:
    jobs = [*grid.all_jobs(config).values(), *grid.search_jobs(config)]
    try:
        grid.check_names(jobs)
    except ConfigError as error:
        yield str(error)


_RULES: tuple[Callable[[Config], Iterable[str]], ...] = (
    _architectures,
    _names,
    _names_of_the_grid,
    _checkpoint_names,
    _checkpoint_sources,
    _data,
    _paths,
    _ablations,
    _prompts,
    _optimizers,
    _continued_adaptation,
    _prompt_design,
    _hardware,
    _jobs,
)
