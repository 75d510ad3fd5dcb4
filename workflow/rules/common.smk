"""Names of files, jobs and resources, and the functions by which rules look them up."""

from functools import partial

from promptscale.config import grid, outputs
from promptscale.config.axes import adaptation_steps, describe
from promptscale.config.tasks import TASKS
from promptscale.planning.resources import job_resources

RESULTS = CONFIG.paths.results
FIGURES = CONFIG.paths.figures
DATA_DIR = CONFIG.data.data_dir or f"{RESULTS}/raw/tensorflow_datasets"
VOCABULARY = outputs.vocabulary(CONFIG)
# Trained models and saved states may lie in a bucket. Rules get their locations as resources, which change
# no result; Snakemake does not know these files, so it never deletes them.
MODELS_FOLDER = CONFIG.paths.models or f"{RESULTS}/models"
STATE = CONFIG.paths.state or f"{RESULTS}/state"
MODEL_ENVIRONMENT = f"../../envs/{ENVIRONMENT}.yaml"
JOBS = grid.all_jobs(CONFIG)
SEARCH_JOBS = {job.name: job for job in grid.search_jobs(CONFIG)}
ALL_JOBS = JOBS | SEARCH_JOBS
ENSEMBLES = grid.ensemble_jobs(CONFIG)
# Rules whose jobs count towards the configuration's budget.
BUDGETED = {
    "train_language_model",
    "train_prompts",
    "tune_model",
    "evaluate_text_prompts",
    "search_hyperparameters",
}


def alternatives(names):
    """A wildcard constraint that admits these names and no others."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


def job_names(*methods):
    """A wildcard constraint that admits the jobs of these methods."""
    return alternatives(name for name, job in JOBS.items() if job.method in methods)


wildcard_constraints:
    size=alternatives(CONFIG.sizes),
    checkpoint=alternatives(CONFIG.checkpoint_names),
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


def table_path(name):
    """A tidy table, of this configuration's runs or of the published results."""
    return bundle.table(PUBLISHED, name) if PUBLISHED else f"{RESULTS}/{name}.csv"


def rendered_figure(name):
    """A figure as PDF, PNG and its data."""
    return multiext(f"{FIGURES}/{name}", ".pdf", ".png", ".csv")


def rendered_table(name):
    """A table as CSV, Markdown and LaTeX."""
    return multiext(f"{RESULTS}/tables/{name}", ".csv", ".md", ".tex")


def table_inputs(wildcards):
    """The tidy tables that a rendered table is made of, by name."""
    further = {
        "interpretability": ["interpretability"],
        "serving": ["serving"],
        "table6": ["search/trials"],
    }
    names = ["runs", "datasets", *further.get(wildcards.table, [])]
    return {Path(name).name: table_path(name) for name in names}


# What figures, tables and claims need to know besides the tables of results.
REPORT = {
    "default": describe(CONFIG.default_setting),
    "architectures": {
        name: vars(architecture) for name, architecture in CONFIG.architectures.items()
    },
    "convergence_task": CONFIG.convergence.task if CONFIG.convergence else "boolq",
}


def tfds_folder(wildcards):
    """The folder of TFDS's prepared datasets: generated here, or the configuration's."""
    return DATA_DIR


def architecture(wildcards):
    """The architecture that an imported checkpoint must have."""
    return vars(CONFIG.all_sizes[wildcards.size])


def checkpoint_source(wildcards):
    """The location that a checkpoint is imported from."""
    return grid.source(CONFIG, wildcards.size, wildcards.checkpoint)


def continued_checkpoint(wildcards):
    """The checkpoint that a language model's training continues; empty if it starts anew."""
    start = grid.start_of(CONFIG, wildcards.checkpoint)
    return checkpoint_path(wildcards.size, start) if start else []


def job_for(wildcards):
    """The job that wildcards name: by its name, or a language model by size and checkpoint."""
    if "job" in wildcards.keys():
        return ALL_JOBS[wildcards.job]
    return grid.language_modeling_job(CONFIG, wildcards.size, wildcards.checkpoint)


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


def initial_prompt(wildcards):
    """The file that a job's prompts start from; empty if they start from no file."""
    start = job_for(wildcards).settings.initialization
    return start.file if start.method == "file" else []


def voting_predictions(wildcards):
    """The predictions of all prompts that vote at a size."""
    return [
        f"{RESULTS}/runs/{job.name}/predictions" for job in ENSEMBLES[wildcards.size]
    ]


def voting_specifications(wildcards):
    """The jobs whose prompts vote at a size."""
    return specifications(ENSEMBLES[wildcards.size])


def interpreted_jobs(wildcards):
    """The jobs whose prompts are interpreted: the default's and the other initialisations'."""
    jobs = grid.prompt_jobs(CONFIG, "initialization")
    return [job for job in jobs if job.size == wildcards.size]


def interpreted_prompts(wildcards):
    """The folders of the prompts that are interpreted."""
    return prompt_folders(interpreted_jobs(wildcards))


def interpreted_specifications(wildcards):
    """The jobs that trained the prompts that are interpreted."""
    return specifications(interpreted_jobs(wildcards))


def resource(name, wildcards):
    """A resource of the job that wildcards name."""
    return job_resources(CONFIG, job_for(wildcards))[name]


def model_location(wildcards):
    """Where a trained language model is written."""
    return f"{MODELS_FOLDER}/{wildcards.size}/{wildcards.checkpoint}/checkpoint"


def state_location(wildcards):
    """Where a job saves the state that it resumes from."""
    if "job" not in wildcards.keys():
        return f"{STATE}/models/{wildcards.size}/{wildcards.checkpoint}.state"
    folder = "search" if wildcards.job in SEARCH_JOBS else "runs"
    return f"{STATE}/{folder}/{wildcards.job}.state"


RESOURCES = {
    name: partial(resource, name)
    for name in (
        "tpu_type",
        "tpu_chips",
        "model_axis",
        "examples_at_a_time",
        "mem_mb",
        "runtime",
    )
}
