"""The Power of Scale for Parameter-Efficient Prompt Tuning: the whole experiment.

    snakemake --profile local all                                    the miniature
    snakemake --profile local all --configfile config/paper.yaml     the paper
    snakemake --profile cached figures tables                        from published results, without training

config/README.md explains the configuration and the targets.
"""

from pathlib import Path

from promptscale.config.load import read_mapping, validate
from promptscale.config.schema import Config
from promptscale.errors import PromptscaleError
from promptscale.planning.costs import beyond_budget
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")


# A file given with --configfile takes the place of the default; keys given with --config change single
# keys of either.
if not workflow.overwrite_configfiles and "published" not in config:

    configfile: str(Path(workflow.basedir, "config/miniature.yaml"))


# Two keys belong to the workflow and not to the experiment. `environment` (cpu, gpu or tpu) names the conda
# environment of the jobs that compute with a model. `published` is a folder of published results.
ENVIRONMENT = config.pop("environment", "cpu")
PUBLISHED = Path(config["published"]) if "published" in config else None

if ENVIRONMENT not in ("cpu", "gpu", "tpu"):
    raise WorkflowError(
        f"`environment` is {ENVIRONMENT!r}; it must be cpu, gpu or tpu."
    )

try:
    if PUBLISHED:
        from promptscale.reporting import bundle

        configuration = bundle.verify(PUBLISHED).configuration
        CONFIG = validate(Config, configuration, str(PUBLISHED))
    else:
        for path in workflow.overwrite_configfiles:
            read_mapping(
                path
            )  # Snakemake has read it, but without a look at repeated keys
        CONFIG = validate(Config, config, "The configuration")
except PromptscaleError as error:
    raise WorkflowError(str(error)) from None


include: "workflow/rules/common.smk"


# Published results are drawn without the rules that could make new ones.
if PUBLISHED is None:

    include: "workflow/rules/data.smk"
    include: "workflow/rules/models.smk"
    include: "workflow/rules/tuning.smk"
    include: "workflow/rules/collect.smk"


include: "workflow/rules/results.smk"
include: "workflow/rules/targets.smk"


onstart:
    # The workflow ends before its first job if the jobs to be run cost more than the budget.
    planned = [
        job for job in workflow.dag.needrun_jobs() if job.rule.name in BUDGETED
    ]
    if refusal := beyond_budget(
        CONFIG, [job_for(job.wildcards) for job in planned]
    ):
        raise WorkflowError(refusal)


localrules:
    all,


rule all:
    default_target: True
    input:
        # A run whose files were deleted by hand is made again.
        [] if PUBLISHED else rules.collect_runs.input,
        [rendered_figure(name) for name in FIGURE_NAMES],
        [rendered_table(name) for name in TABLE_NAMES],
        rules.evaluate_claims.output,
