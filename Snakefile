"""The Power of Scale for Parameter-Efficient Prompt Tuning: the whole experiment.

    snakemake --profile local all                                    the miniature
    snakemake --profile local all --configfile config/paper.yaml     the paper
    snakemake --profile cached figures tables                        from published results, without training

config/README.md explains the configuration and the targets.
"""

import sys
from functools import reduce
from pathlib import Path

from promptscale.config import outputs
from promptscale.config.load import merged, overlaid, read_mapping, validate
from promptscale.config.schema import Config
from promptscale.errors import ConfigError, PromptscaleError
from promptscale.planning.costs import beyond_budget
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")


# A file given with --configfile takes the place of the default; keys given with --config change single
# keys of either.
DEFAULT = Path(workflow.basedir, "config/miniature.yaml")
FILES = list(workflow.overwrite_configfiles)
# Snakemake does not tell a Snakefile the names of the profiles.
PROFILES = [
    Path(argument.removeprefix("--profile=")).name
    for option, argument in zip(sys.argv, sys.argv[1:])
    if option == "--profile" or argument.startswith("--profile=")
]

if not FILES and "published" not in config:
    FILES = [DEFAULT]

    configfile: str(DEFAULT)


try:
    if "published" in config:
        if FILES:
            raise ConfigError(
                f"`published` and the configuration {FILES[0]} are both given; published results have "
                "their own configuration, so leave one of the two out."
            )
    else:
        if "cached" in PROFILES:
            raise ConfigError(
                "--config replaces the profile's `published`, so this would train; give it as well: "
                "--config published=results/published/miniature"
            )
        # Snakemake does not look at repeated keys, and reads every value inside a list or mapping of
        # --config as a text. The files and arguments are read again, and take the place of its values.
        content = reduce(merged, map(read_mapping, FILES), {})
        content = overlaid(content, workflow.config_settings.config_args or [])
        config.clear()
        config.update(content)
    # Two keys belong to the workflow and not to the experiment. `environment` (cpu, gpu or tpu) names the
    # conda environment of the jobs that compute with a model. `published` is a folder of published results.
    ENVIRONMENT = config.pop("environment", "cpu")
    PUBLISHED = config.get("published")
    if ENVIRONMENT not in ("cpu", "gpu", "tpu"):
        raise ConfigError(
            f"`environment` is {ENVIRONMENT!r}; it must be cpu, gpu or tpu."
        )
    if "published" in config:
        from promptscale.reporting import bundle

        if not isinstance(PUBLISHED, str) or not PUBLISHED.strip():
            raise ConfigError(
                f"`published` is {PUBLISHED!r}; it must be a folder of published results."
            )
        PUBLISHED = Path(PUBLISHED)
        if unused := sorted({*config} - {"published"}):
            raise ConfigError(
                f"`{unused[0]}` changes nothing in published results; leave it out."
            )
        configuration = bundle.verify(PUBLISHED).configuration
        CONFIG = validate(Config, configuration, str(PUBLISHED))
    else:
        CONFIG = validate(Config, config, "The configuration")
        if faults := outputs.unusable_folders(CONFIG):
            raise ConfigError(
                "\n".join(f"The configuration: {fault}" for fault in faults)
            )
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
