"""The products of a configuration besides its runs: datasets, checkpoints, figures, tables."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from promptscale.config.axes import AXES, PAPER_AXES
from promptscale.config.grid import all_jobs, prompt_jobs, source, start_of
from promptscale.config.jobs import PromptTuningJob
from promptscale.config.schema import Config
from promptscale.config.tasks import MRQA, SUPER_GLUE, TASKS
from promptscale.storage.location import is_remote

Split = tuple[str, str]  # task and split

_TRANSFER = ("mrpc", "qqp")


def splits(config: Config) -> list[Split]:
    """The prepared splits that the jobs read, and those that Tables 7 to 16 count."""
    needed = [
        (task, split)
        for job in all_jobs(config).values()
        for split, tasks in (("train", job.train_tasks), ("validation", job.evaluated_tasks))
        for task in tasks
    ]
    evaluated = {task for task, split in needed if split == "validation"}
    counted = [(task, split) for task in evaluated for split in TASKS[task].splits]
    return sorted({*needed, *counted})


def checkpoints(config: Config) -> list[tuple[str, str]]:
    """Size and name of every checkpoint that a job starts from or an adaptation continues."""
    needed = {(job.size, job.checkpoint) for job in all_jobs(config).values()}
    for size, checkpoint in sorted(needed):
        start: str | None = checkpoint
        while start:
            needed.add((size, start))
            trained = source(config, size, start) == "train"
            start = start_of(config, start) if trained else None
    return sorted(needed)


def trained_checkpoints(config: Config) -> list[tuple[str, str]]:
    """Size and name of every checkpoint that the workflow trains."""
    return [
        (size, checkpoint)
        for size, checkpoint in checkpoints(config)
        if source(config, size, checkpoint) == "train"
    ]


def state_folder(config: Config) -> str:
    """Where jobs save the states that they resume from, and their event files."""
    return config.paths.state or f"{config.paths.results}/state"


def events(config: Config, name: str) -> str:
    """The event file of the job whose log is `<results>/logs/NAME.log`."""
    return f"{state_folder(config)}/events/{name}.jsonl"


def vocabulary(config: Config) -> str:
    """The path of the vocabulary that a rule trains, or copies from the configuration's file."""
    return f"{config.paths.results}/vocabulary/sentencepiece.model"


def prompts(config: Config) -> dict[str, str]:
    """The files of the published prompts by task."""
    published = config.published_prompts
    return {task: f"{published.folder}/{task}.npy" for task in published.tasks} if published else {}


def unusable_folders(config: Config) -> list[str]:
    """A sentence for each folder of the results that cannot be made, as a file is in its place."""
    folders = {f"paths.{key}": path for key, path in config.paths}
    if config.data.download:
        folders["data.data_dir"] = config.data.data_dir
    return _faults(folders, _fault_of_made_folder)


def missing_files(config: Config) -> list[str]:
    """A sentence for each key whose local file or folder is missing or of the other kind.

    Locations in buckets are not looked at.
    """
    data, start = config.data, config.prompt_tuning.initialization
    files = {"data.vocabulary": data.vocabulary, "prompt_tuning.initialization.file": start.file}
    for name, path in data.substitutes.items():
        files[f"data.substitutes.{name}"] = str(Path(data.local_files or "", path))
    files |= {f"the published prompt of {task}": path for task, path in prompts(config).items()}
    folders = {"data.local_files": data.local_files}
    if not data.download:
        folders["data.data_dir"] = data.data_dir
    sources = {
        f"the location of {checkpoint}": location
        for size, checkpoint in checkpoints(config)
        if (location := source(config, size, checkpoint)) != "train"
    }
    return [
        *_faults(files, _fault_of_file),
        *_faults(folders, _fault_of_folder),
        *_faults(sources, _fault_of_source),
        *unusable_folders(config),
    ]


def _faults(paths: Mapping[str, str | None], fault_of: Callable[[str], str]) -> list[str]:
    return [
        f"{key} is {path!r}, {fault}."
        for key, path in paths.items()
        if path and not is_remote(path) and (fault := fault_of(path))
    ]


def _fault_of_source(path: str) -> str:
    return "" if _exists(path) else "which does not exist"


def _fault_of_file(path: str) -> str:
    is_folder = _exists(path) and Path(path).is_dir()
    return "which is a folder; it should be a file" if is_folder else _fault_of_source(path)


def _fault_of_folder(path: str) -> str:
    is_file = _exists(path) and not Path(path).is_dir()
    return "which is a file; it should be a folder" if is_file else _fault_of_source(path)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a name that is too long, or a folder that may not be read
        return False


def _fault_of_made_folder(path: str) -> str:
    """A folder that is made if it is missing can lie in existing folders only."""
    absolute = Path(path).absolute()
    place = next(place for place in (absolute, *absolute.parents) if os.path.lexists(place))
    return "" if place.is_dir() else f"but {str(place)!r} is a file; it should be a folder"


def published_folder(config: Config) -> str:
    """The folder of the published results, named by the label in lower case with dashes."""
    return f"results/published/{re.sub('[^a-z0-9.]+', '-', config.label.lower()).strip('-.')}"


def largest_size(config: Config) -> str:
    """The size with the most parameters."""
    return max(config.sizes, key=lambda size: config.all_sizes[size].num_parameters)


def labelled_jobs(config: Config) -> list[PromptTuningJob]:
    """The jobs along the pre-training objective, of which a task has labels."""
    jobs = prompt_jobs(config, "pretraining_objective")
    return [job for job in jobs if any(TASKS[task].labels for task in job.tasks)]


def figures(config: Config) -> list[str]:
    """The figures that the results allow: curves over sizes need at least two sizes."""
    names = ["figure4"]
    if len(config.sizes) > 1:
        ablated = [axis for name, axis in AXES.items() if config.ablations.get(name)]
        names += ["figure1", *(f"figure3{axis.panel.letter}" for axis in ablated)]
        if {*PAPER_AXES} <= {axis.name for axis in ablated}:
            names.append("figure3")
    return sorted(names)


def tables(config: Config) -> list[str]:
    """The tables that the results allow; Table 6 comes with the hyperparameter search alone."""
    counted = [f"table{number}" for number in range(7, 17)]
    names = ["table4", *counted, "interpretability", "scores", "text_numbers"]
    shift = config.domain_shift.evaluate_on if config.domain_shift and config.model_tuning else {}
    further = {
        "table1": set(shift.get("squad", ())) >= set(MRQA),
        "table2": all({*_TRANSFER} - {task} <= {*shift.get(task, ())} for task in _TRANSFER),
        "table3": config.ensembles and set(config.tasks) >= set(SUPER_GLUE),
        "table5": config.convergence,
        "error_modes": labelled_jobs(config),
        "serving": len(config.tasks) > 1,
        "domain_words": len(config.tasks) > 1,
    }
    return sorted([*names, *(name for name, allowed in further.items() if allowed)])
