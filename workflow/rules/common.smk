"""The configuration, checked, and the functions by which rules look their jobs up."""

from promptscale.config.grid import (
    adaptation_steps,
    language_modeling_job,
    source,
    tuning_jobs,
)
from promptscale.config.load import validate
from promptscale.config.schema import Config
from promptscale.config.tasks import TASKS
from promptscale.errors import PromptscaleError
from snakemake.exceptions import WorkflowError

try:
    CONFIG = validate(Config, config, "The configuration")
except PromptscaleError as error:
    raise WorkflowError(str(error)) from None

RESULTS = CONFIG.paths.results
FIGURES = CONFIG.paths.figures
DATA_DIR = CONFIG.data.data_dir or f"{RESULTS}/raw/tensorflow_datasets"
STATE = (
    f"{RESULTS}/state"  # what killed jobs resume from; never declared, so never deleted
)
JOBS = {job.name: job for job in tuning_jobs(CONFIG)}
TRAINED = [
    f"{size}/{base}"
    for size in CONFIG.sizes
    for base in CONFIG.bases
    if source(CONFIG, size, base) == "train"
]
VOCABULARY = CONFIG.data.vocabulary or f"{RESULTS}/vocabulary/sentencepiece.model"


def either(names):
    """A wildcard constraint that admits these names only."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    size=either(CONFIG.sizes),
    base=either(CONFIG.bases),
    task=either(TASKS),
    split="train|validation",
    figure=r"figure\d[a-d]?",
    table=r"table\d+",


def checkpoint_of(wildcards):
    """The frozen model of a tuning job."""
    job = JOBS[wildcards.job]
    return f"{RESULTS}/models/{job.size}/{job.base}/checkpoint"


def prepared(split):
    """An input function: the prepared split of a tuning job's task."""

    def path(wildcards):
        return f"{RESULTS}/data/{JOBS[wildcards.job].task}/{split}.safetensors"

    return path


def job_specification(wildcards):
    """Everything that a tuning job depends on besides its files; a change of it reruns the job."""
    return JOBS[wildcards.job].model_dump_json()


def tfds_folder(wildcards):
    """Where TFDS's prepared datasets are: generated here, or the configuration's folder."""
    return DATA_DIR


def location_of(wildcards):
    """Where a frozen model that is not trained here comes from."""
    return source(CONFIG, wildcards.size, wildcards.base)


def architecture_of(wildcards):
    """The architecture that an imported checkpoint must have."""
    return vars(CONFIG.all_sizes[wildcards.size])


def start_of(wildcards):
    """What a language model's training continues: the span-corruption model, or nothing."""
    if wildcards.base == "span_corruption":
        return []
    return f"{RESULTS}/models/{wildcards.size}/span_corruption/checkpoint"


def language_model_specification(wildcards):
    """Everything that a language model's training depends on besides its files."""
    return language_modeling_job(
        CONFIG, wildcards.size, wildcards.base
    ).model_dump_json()


def default_setting():
    """The default setting of prompt tuning, which every figure singles out."""
    steps = adaptation_steps(CONFIG.default_checkpoint)
    return {
        "prompt_length": CONFIG.prompt_tuning.prompt_length,
        "initialization": CONFIG.prompt_tuning.initialization.method,
        "objective": "lm_adaptation" if steps else "span_corruption",
        "adaptation_steps": steps,
    }


def custom_architectures():
    """The configuration's own architectures, for the figures' axis."""
    return {name: vars(config) for name, config in CONFIG.architectures.items()}
