"""The products of a configuration besides its runs: datasets, checkpoints, figures, tables."""

import re
from pathlib import Path

from promptscale.config.axes import AXES, PAPER_AXES
from promptscale.config.grid import all_jobs, source, start_of
from promptscale.config.schema import Config
from promptscale.config.tasks import MRQA, SUPER_GLUE, TASKS
from promptscale.config.values import is_bucket

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


def vocabulary(config: Config) -> str:
    """The path of the vocabulary that a rule trains, or copies from the configuration's file."""
    return f"{config.paths.results}/vocabulary/sentencepiece.model"


def missing_files(config: Config) -> list[str]:
    """A sentence for each key that names a local file or folder which does not exist.

    Locations in buckets are not looked at.
    """
    data, start = config.data, config.prompt_tuning.initialization
    files: dict[str, str | None] = {
        "data.vocabulary": data.vocabulary,
        "data.local_files": data.local_files,
        "prompt_tuning.initialization.file": start.file,
    }
    for size, checkpoint in checkpoints(config):
        location = source(config, size, checkpoint)
        if location != "train" and not is_bucket(location) and not Path(location).exists():
            files[f"the location of {checkpoint}"] = location
    return [
        f"{key} is {file!r}, which does not exist."
        for key, file in files.items()
        if file and not is_bucket(file) and not Path(file).exists()
    ]


def published_folder(config: Config) -> str:
    """The folder of the published results, named by the label in lower case with dashes."""
    return f"results/published/{re.sub('[^a-z0-9.]+', '-', config.label.lower()).strip('-.')}"


def largest_size(config: Config) -> str:
    """The size with the most parameters."""
    return max(config.sizes, key=lambda size: config.all_sizes[size].num_parameters)


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
    names = ["table4", *(f"table{number}" for number in range(7, 17)), "interpretability"]
    shift = config.domain_shift.evaluate_on if config.domain_shift and config.model_tuning else {}
    further = {
        "table1": set(shift.get("squad", ())) >= set(MRQA),
        "table2": all({*_TRANSFER} - {task} <= {*shift.get(task, ())} for task in _TRANSFER),
        "table3": config.ensembles and set(config.tasks) >= set(SUPER_GLUE),
        "table5": config.convergence,
        "serving": len(config.tasks) > 1,
    }
    return sorted([*names, *(name for name, allowed in further.items() if allowed)])
