"""Names of files, jobs and resources, and the functions by which rules look them up."""

import hashlib
import os
import shlex
import sys
from functools import cache, partial

from promptscale.config import grid, outputs
from promptscale.config.axes import adaptation_steps, describe
from promptscale.config.tasks import TASKS
from promptscale.planning.machine import available_cores, available_memory_mb
from promptscale.planning.resources import SMALL, job_resources
from promptscale.storage.fingerprint import fingerprint
from promptscale.storage.location import is_remote, resolve
from snakemake.utils import available_cpu_count

if PUBLISHED:
    from promptscale.reporting import bundle

RESULTS = CONFIG.paths.results
FIGURES = CONFIG.paths.figures
DATA_DIR = CONFIG.data.data_dir or f"{RESULTS}/raw/tensorflow_datasets"
VOCABULARY = outputs.vocabulary(CONFIG)
# Rules get the locations of models, states and events as resources: Snakemake never deletes these files.
MODELS_FOLDER = CONFIG.paths.models or f"{RESULTS}/models"
MODEL_ENVIRONMENT = f"../../envs/{ENVIRONMENT}.yaml"
JOBS = grid.all_jobs(CONFIG)
SEARCH_JOBS = {job.name: job for job in grid.search_jobs(CONFIG)}
ALL_JOBS = JOBS | SEARCH_JOBS
ENSEMBLES = grid.ensemble_jobs(CONFIG)
PUBLISHED_PROMPTS = grid.published_prompts_job(CONFIG)
LABELLED_JOBS = outputs.labelled_jobs(CONFIG)
TRAINED_MODELS = outputs.trained_checkpoints(CONFIG)
CHECKPOINTS = {
    seeded
    for name in CONFIG.checkpoint_names
    for seeded in grid.checkpoints_of(CONFIG, name)
}
FIGURE_NAMES = outputs.figures(CONFIG)
# Rules whose jobs count towards the configuration's budget.
BUDGETED = {
    workflow.modifier.modify_rulename(name)
    for name in (
        "train_language_model",
        "train_prompts",
        "tune_model",
        "evaluate_text_prompts",
        "search_hyperparameters",
    )
}


if set("{}") & set(str(CHECKOUT)):
    raise WorkflowError(
        f"The path of this checkout, {CHECKOUT}, has a brace in it, which Snakemake takes for "
        "a variable; move the checkout to a path without braces."
    )

# Jobs get some paths as parameters and resources, which Snakemake's prefixes do not reach.
modified_paths = workflow.modifier.path_modifier
if modified_paths.prefix or modified_paths.modifies_prefixes:
    raise WorkflowError(
        "A module of promptscale takes no `prefix` and no `replace_prefix`; set `paths.results` and "
        "`paths.figures` in its `config`."
    )

# Snakemake 9 puts the path of Python into the shell command of a script without quotes.
if Path(sys.executable).is_file():
    sys.executable = shlex.quote(sys.executable)

# Jobs run side by side on this machine: not on a cluster or on slices, and this process is no job.
RUNS_HERE = (
    workflow.is_main_process
    and workflow.nodes is None
    and workflow.resource_settings.cores is not None
)
if RUNS_HERE:
    # `--cores all` does not know the quota of a container, and nothing knows its memory.
    if workflow.cores == available_cpu_count():
        workflow.register_resource("_cores", available_cores())
    workflow.global_resources.setdefault("mem_mb", available_memory_mb())


def alternatives(names):
    """A wildcard constraint that admits these names and no others."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


def job_names(*methods):
    """A wildcard constraint that admits the jobs of these methods, whose names begin with them.

    Snakemake reads a constraint anew for every file, so it is much shorter than the jobs' names.
    """
    return f"({alternatives(methods)})/.+"


wildcard_constraints:
    size=alternatives(CONFIG.sizes),
    checkpoint=alternatives(CHECKPOINTS),
    task=alternatives(TASKS),
    split="train|validation",
    shard=r"\d+",


def checkpoint_path(size, checkpoint):
    """The file that says where a checkpoint is."""
    return f"{RESULTS}/models/{size}/{checkpoint}/model.json"


def prepared_paths(tasks, split):
    """The files of prepared splits: tokens, and the fields that metrics need."""
    return expand(
        f"{RESULTS}/data/{{task}}/{split}.{{kind}}",
        task=tasks,
        kind=["safetensors", "jsonl"],
    )


def metrics_paths(jobs):
    """The results of these jobs."""
    return [f"{RESULTS}/runs/{job.name}/metrics.csv" for job in jobs]


def prompt_folders(jobs):
    """The folders of the prompts that these jobs train."""
    return [f"{RESULTS}/runs/{job.name}/prompts" for job in jobs]


def prediction_folders(jobs):
    """The folders of the predictions that these jobs leave."""
    return [f"{RESULTS}/runs/{job.name}/predictions" for job in jobs]


def raw_files(name, split):
    """What a split is made from: where its rows come from, and the file that replaces them.

    Only a change of this makes the split again. TFDS's datasets have a version, and the published
    files have checksums, so it does not matter in which folder they are.
    """
    data = CONFIG.data
    if data.local_files is None:
        return "generated" if data.generated else "TFDS"
    substitute = data.substitutes.get(f"{name}/{split}")
    if substitute is None:
        return "published files"
    return fingerprint(os.path.join(data.local_files, substitute))


def task_files(wildcards):
    """What a task's split is made from."""
    return raw_files(wildcards.task, wildcards.split)


def architecture(wildcards):
    """The architecture that an imported checkpoint must have."""
    return vars(CONFIG.all_sizes[wildcards.size])


def checkpoint_source(wildcards):
    """The location that a checkpoint is imported from."""
    return grid.source(CONFIG, wildcards.size, wildcards.checkpoint)


def restored_accumulators(wildcards):
    """The number of trainings that restore an imported checkpoint's Adafactor accumulators.

    It is a resource, as it changes what is checked and no result.
    """
    size, checkpoint = wildcards.size, wildcards.checkpoint
    tuned = [
        job
        for job in JOBS.values()
        if (job.size, job.checkpoint) == (size, checkpoint)
        and getattr(job.settings, "restore_accumulators", False)
    ]
    continued = [
        name
        for trained_size, name in TRAINED_MODELS
        if trained_size == size and grid.start_of(CONFIG, name) == checkpoint
    ]
    return len(tuned) + len(continued)


def checkpoint_files(wildcards):
    """The fingerprint of a local checkpoint's files."""
    return fingerprint(checkpoint_source(wildcards))


def continued_checkpoint(wildcards):
    """The checkpoint that a language model's training continues; empty if it starts anew."""
    start = grid.start_of(CONFIG, wildcards.checkpoint)
    return checkpoint_path(wildcards.size, start) if start else []


@cache
def find_job(job="", size="", checkpoint=""):
    """The job of this name, or the job that trains a language model.

    Raises:
      WorkflowError: the configuration has no job of this name.
    """
    if not job:
        return grid.language_modeling_job(CONFIG, size, checkpoint)
    if job not in ALL_JOBS:
        raise WorkflowError(f"The configuration has no job {job!r}.")
    return ALL_JOBS[job]


def job_for(wildcards):
    """The job that wildcards name."""
    return find_job(**dict(wildcards.items()))


def job_specification(wildcards):
    """Everything that a job depends on besides its files; a change of it reruns the job."""
    return job_for(wildcards).model_dump_json()


def specifications(jobs):
    """The specifications of several jobs; a function of `params` calls it, as texts may have braces."""
    return [job.model_dump_json() for job in jobs]


def start_checkpoint(wildcards):
    """The checkpoint that a job starts from."""
    job = job_for(wildcards)
    return checkpoint_path(job.size, job.checkpoint)


def train_paths(wildcards):
    """The prepared training splits of a job's tasks."""
    return prepared_paths(job_for(wildcards).train_tasks, "train")


def validation_paths(wildcards):
    """The prepared validation splits that a job is evaluated on."""
    return prepared_paths(job_for(wildcards).evaluated_tasks, "validation")


def input_file(location):
    """A user's file as an input, relative to the working directory; empty if it is in a bucket."""
    if is_remote(location):
        return []
    path, folder = Path(resolve(location)), Path.cwd()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def initial_file(prompts):
    """The file that prompts start from; empty if there are no prompts, or they start otherwise."""
    starts = prompts and prompts.initialization.method == "file"
    return prompts.initialization.file if starts else ""


def initial_prompt(wildcards):
    """The local file that a job's prompts start from; empty if there is none.

    Its time does not matter: `initial_prompt_files` says when it has changed.
    """
    path = (file := initial_file(job_for(wildcards).prompts)) and input_file(file)
    return ancient(path) if path and Path(path).is_file() else []


def initial_prompt_files(wildcards):
    """The fingerprint of the file that a job's prompts start from; empty if there is none."""
    return (file := initial_file(job_for(wildcards).prompts)) and fingerprint(file)


def voting_predictions(wildcards):
    """The predictions of all prompts that vote at a size."""
    return prediction_folders(ENSEMBLES[wildcards.size])


def voting_specifications(wildcards):
    """The jobs whose prompts vote at a size."""
    return specifications(ENSEMBLES[wildcards.size])


def interpreted_jobs(wildcards):
    """The jobs whose prompts are interpreted: all initialisations, and all prompt lengths."""
    axes = ("initialization", "prompt_length")
    jobs = {job.name: job for axis in axes for job in grid.prompt_jobs(CONFIG, axis)}
    model = (wildcards.size, wildcards.checkpoint)
    return [job for job in jobs.values() if (job.size, job.checkpoint) == model]


def interpreted_prompts(wildcards):
    """The folders of the prompts that are interpreted."""
    return prompt_folders(interpreted_jobs(wildcards))


def interpreted_specifications(wildcards):
    """The jobs that trained the prompts that are interpreted."""
    return specifications(interpreted_jobs(wildcards))


@cache
def resources_of(**names):
    """All resources of a job (`find_job`); Snakemake asks for each of them alone."""
    return job_resources(CONFIG, find_job(**names))


def resource(name):
    """A function from wildcards to a resource of the job that they name."""
    return lambda wildcards: resources_of(**dict(wildcards.items()))[name]


def target_files(name, files, wildcards):
    """The files of a named target; a sentence if the configuration has none."""
    if not files:
        raise WorkflowError(
            f"The configuration has nothing for the target {name}; config/README.md names its section."
        )
    return files


def model_location(wildcards):
    """Where a trained language model is written.

    Several experiments may share the folder `paths.models`, so what they are trained on is in the name.
    """
    folder = f"{MODELS_FOLDER}/{wildcards.size}/{wildcards.checkpoint}"
    if not CONFIG.paths.models:
        return f"{folder}/checkpoint"
    sections = {
        "label",
        "data",
        "architectures",
        "checkpoints",
        "pretraining_seeds",
        "pretraining",
        "lm_adaptation",
    }
    trained_on = CONFIG.model_dump_json(include=sections).encode()
    return f"{folder}/{hashlib.sha256(trained_on).hexdigest()[:12]}/checkpoint"


def state_location(wildcards):
    """Where a job saves the state that it resumes from."""
    folder = outputs.state_folder(CONFIG)
    if "job" not in wildcards.keys():
        return f"{folder}/models/{wildcards.size}/{wildcards.checkpoint}.state"
    kind = "search" if wildcards.job in SEARCH_JOBS else "runs"
    return f"{folder}/{kind}/{wildcards.job}.state"


def event_file(name):
    """A function from wildcards to the event file of the job whose log is `logs/NAME.log`."""
    return lambda wildcards: outputs.events(
        CONFIG, name.format(**dict(wildcards.items()))
    )


def job_threads(wildcards):
    """All cores for the job of a large model on this machine's CPU, else a core."""
    large = job_for(wildcards).architecture.num_parameters > SMALL
    on_cpu = ENVIRONMENT == "cpu" and not resource("tpu_type")(wildcards)
    return workflow.cores if RUNS_HERE and large and on_cpu else 1


RESOURCES = {
    name: resource(name)
    for name in (
        "tpu_type",
        "tpu_chips",
        "model_axis",
        "token_budget",
        "peak_tflops",
        "mem_mb",
        "runtime",
    )
}
