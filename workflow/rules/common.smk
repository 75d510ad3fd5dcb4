"""The configuration, checked, and the functions by which rules look their jobs up."""

from pathlib import Path

from promptscale.config import grid, outputs
from promptscale.config.jobs import PromptTuningJob, adaptation_steps
from promptscale.config.load import validate
from promptscale.config.schema import Config
from promptscale.config.tasks import TASKS
from promptscale.errors import PromptscaleError
from snakemake.exceptions import WorkflowError

PUBLISHED = Path(config["published"]) if "published" in config else None

try:
    if PUBLISHED:
        from promptscale import bundle

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
# What killed jobs resume from; never declared, so never deleted.
STATE = f"{RESULTS}/state"
JOBS = grid.all_jobs(CONFIG)
SEARCH_JOBS = {job.name: job for job in grid.search_jobs(CONFIG)}


def either(names):
    """A wildcard constraint that admits these names only."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


wildcard_constraints:
    size=either(CONFIG.sizes),
    base=either(CONFIG.bases),
    task=either(TASKS),
    split="train|validation",
    shard=r"\d+",


def frozen_model(size, base):
    """The folder of a frozen model."""
    return f"{RESULTS}/models/{size}/{base}/checkpoint"


def metrics_of(jobs):
    """The results of some jobs."""
    return [f"{RESULTS}/runs/{job.name}/metrics.csv" for job in jobs]


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
