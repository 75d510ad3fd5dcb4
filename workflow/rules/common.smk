"""The configuration, checked, and the functions by which rules look their jobs up."""

from pathlib import Path

from promptscale.config import grid, outputs
from promptscale.planning import costs
from promptscale.config.accelerators import accelerators
from promptscale.config.axes import adaptation_steps, describe
from promptscale.config.jobs import PromptTuningJob
from promptscale.config.load import validate
from promptscale.config.schema import Config
from promptscale.config.tasks import TASKS
from promptscale.errors import PromptscaleError
from snakemake.exceptions import WorkflowError

PUBLISHED = Path(config["published"]) if "published" in config else None

try:
    if PUBLISHED:
        from promptscale.reporting import bundle

        CONFIG = validate(
            Config, bundle.verify(PUBLISHED).configuration, str(PUBLISHED)
        )
    else:
        CONFIG = validate(Config, config, "The configuration")
except PromptscaleError as error:
    raise WorkflowError(str(error)) from None

RESULTS = CONFIG.paths.results
FIGURES = CONFIG.paths.figures
DATA_DIR = CONFIG.data.data_dir or f"{RESULTS}/raw/tensorflow_datasets"
VOCABULARY = outputs.vocabulary(CONFIG)
# Trained models, and what killed jobs resume from: perhaps in a bucket, and never declared to
# Snakemake, so never deleted by it. Jobs have their places as resources, as these change no result.
MODELS_FOLDER = CONFIG.paths.models or f"{RESULTS}/models"
STATE = CONFIG.paths.state or f"{RESULTS}/state"
EXPENSIVE = {
    "train_language_model",
    "train_prompts",
    "tune_model",
    "evaluate_text_prompts",
    "search_hyperparameters",
}
JOBS = grid.all_jobs(CONFIG)
SEARCH_JOBS = {job.name: job for job in grid.search_jobs(CONFIG)}


def either(names):
    """A wildcard constraint that admits these names only."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


wildcard_constraints:
    size=either(CONFIG.sizes),
    checkpoint=either(CONFIG.checkpoint_names),
    task=either(TASKS),
    split="train|validation",
    shard=r"\d+",


def checkpoint_path(size, checkpoint):
    """The file that says where a frozen model is."""
    return f"{RESULTS}/models/{size}/{checkpoint}/model.json"


def metrics_of(jobs):
    """The results of some jobs."""
    return [f"{RESULTS}/runs/{job.name}/metrics.csv" for job in jobs]


def reporting_settings():
    """What figures, tables and claims need to know besides the tidy tables."""
    return {
        "default": describe(CONFIG.default_setting),
        "architectures": {
            name: vars(architecture)
            for name, architecture in CONFIG.architectures.items()
        },
        "convergence_task": (
            CONFIG.convergence.task if CONFIG.convergence else "boolq"
        ),
    }


def tfds_folder(wildcards):
    """Where TFDS's prepared datasets are: generated here, or the configuration's folder."""
    return DATA_DIR


def start_of(wildcards):
    """What a language model's training continues: the next shorter adaptation, or nothing."""
    start = grid.start_of(CONFIG, wildcards.checkpoint)
    return checkpoint_path(wildcards.size, start) if start else []


def language_model_specification(wildcards):
    """Everything that a language model's training depends on besides its files."""
    job = grid.language_modeling_job(CONFIG, wildcards.size, wildcards.checkpoint)
    return job.model_dump_json()


def location_of(wildcards):
    """Where a frozen model that is not trained here comes from."""
    return grid.source(CONFIG, wildcards.size, wildcards.checkpoint)


def architecture_of(wildcards):
    """The architecture that an imported checkpoint must have."""
    return vars(CONFIG.all_sizes[wildcards.size])


def job_of(wildcards):
    """The job that a wildcard names."""
    return (JOBS | SEARCH_JOBS)[wildcards.job]


def checkpoint_of(wildcards):
    """The frozen model of a job."""
    job = job_of(wildcards)
    return checkpoint_path(job.size, job.checkpoint)


def initialization_of(wildcards):
    """The file that a job's prompts start from, where they start from one."""
    start = job_of(wildcards).settings.initialization
    return start.file if start.method == "file" else []


def prepared(tasks, split):
    """The files of prepared splits: tokens, and the fields that the metrics need."""
    return expand(
        f"{RESULTS}/data/{{task}}/{split}.{{kind}}",
        task=tasks,
        kind=["safetensors", "jsonl"],
    )


def train_splits(wildcards):
    """The prepared training splits of a job's tasks."""
    return prepared(job_of(wildcards).train_tasks, "train")


def validation_splits(wildcards):
    """The prepared validation splits that a job is evaluated on."""
    return prepared(job_of(wildcards).evaluated_tasks, "validation")


def hardware_of(size):
    """What jobs of a size run on, as resources: they change no result, so they rerun nothing."""
    hardware = CONFIG.hardware.get(size)
    accelerator = accelerators()[hardware.accelerator] if hardware else None
    is_tpu = accelerator is not None and accelerator.kind == "tpu"
    return {
        "tpu_type": hardware.accelerator if is_tpu else "",
        "tpu_chips": accelerator.chips if is_tpu else 0,
        "model_axis": hardware.model_axis if hardware else 1,
        "examples_at_a_time": (hardware.examples_at_a_time or 0) if hardware else 0,
    }


def model_folder(wildcards):
    """Where a trained language model goes."""
    return f"{MODELS_FOLDER}/{wildcards.size}/{wildcards.checkpoint}/checkpoint"


def model_state(wildcards):
    """Where a language model's training keeps what it resumes from."""
    return f"{STATE}/models/{wildcards.size}/{wildcards.checkpoint}.state"


def run_state(wildcards):
    """Where a job keeps what it resumes from."""
    return f"{STATE}/runs/{wildcards.job}.state"


def search_state(wildcards):
    """The same for a hyperparameter search."""
    return f"{STATE}/search/{wildcards.job}.state"


def size_of(wildcards):
    """The size of the model that a job is about."""
    return job_of(wildcards).size if "job" in wildcards.keys() else wildcards.size


def tpu_type(wildcards):
    """The TPU that a job asks for; empty if it runs elsewhere."""
    return hardware_of(size_of(wildcards))["tpu_type"]


def tpu_chips(wildcards):
    """How many chips that is; a profile may limit those in use at a time."""
    return hardware_of(size_of(wildcards))["tpu_chips"]


def model_axis(wildcards):
    """How many devices share the model's parameters."""
    return hardware_of(size_of(wildcards))["model_axis"]


def examples_at_a_time(wildcards):
    """How many examples of a batch pass at a time; 0: all."""
    return hardware_of(size_of(wildcards))["examples_at_a_time"]


def refuse_beyond_budget(jobs):
    """Ends the workflow before its first job if the trainings to be run cost too much."""
    wanted = [
        (
            job_of(job.wildcards)
            if "job" in job.wildcards.keys()
            else grid.language_modeling_job(
                CONFIG, job.wildcards.size, job.wildcards.checkpoint
            )
        )
        for job in jobs
        if job.rule.name in EXPENSIVE
    ]
    if sentence := costs.beyond_budget(CONFIG, wanted):
        raise WorkflowError(sentence)


def job_specification(wildcards):
    """Everything that a job depends on besides its files; a change of it reruns the job."""
    return job_of(wildcards).model_dump_json()


def jobs_by(*methods):
    """A wildcard constraint that admits the jobs of these methods."""
    return either(name for name, job in JOBS.items() if job.method in methods)


def ensemble_predictions(wildcards):
    """The predictions of all prompts that vote at one size."""
    return [
        f"{RESULTS}/runs/{job.name}/predictions" for job in ENSEMBLES[wildcards.size]
    ]


def ensemble_specification(wildcards):
    """What the rows of an ensemble say of it: one job for each block of its prompts."""
    return [job.model_dump_json() for job in ENSEMBLES[wildcards.size]]


def interpreted_jobs(size):
    """The jobs whose prompts are interpreted: the default's and the other initialisations'."""
    return [
        job for job in grid.prompt_jobs(CONFIG, "initialization") if job.size == size
    ]


def interpreted_prompts(wildcards):
    """The folders of the prompts that are interpreted."""
    return [
        f"{RESULTS}/runs/{job.name}/prompts" for job in interpreted_jobs(wildcards.size)
    ]


def interpretation_specification(wildcards):
    """The jobs behind those folders."""
    return [job.model_dump_json() for job in interpreted_jobs(wildcards.size)]


def tidy(name):
    """A tidy table: of this configuration's own runs, or of the published results."""
    return bundle.table(PUBLISHED, name) if PUBLISHED else f"{RESULTS}/{name}.csv"


def tidy_tables(name):
    """The tidy tables that a table is made of."""
    own = {
        "interpretability": ["interpretability"],
        "serving": ["serving"],
        "table6": ["search/trials"],
    }
    return {
        Path(one).name: tidy(one) for one in ["runs", "datasets", *own.get(name, [])]
    }


def figure_files(name):
    """A figure as PDF, PNG and its data."""
    return multiext(f"{FIGURES}/{name}", ".pdf", ".png", ".csv")


def table_files(name):
    """A table as CSV, Markdown and LaTeX."""
    return multiext(f"{RESULTS}/tables/{name}", ".csv", ".md", ".tex")
