"""The Power of Scale for Parameter-Efficient Prompt Tuning: the whole experiment.

    snakemake --profile local all                                    the miniature
    snakemake --profile local all --configfile config/paper.yaml     the paper
    snakemake --profile cached figures tables                        from published results, without training

config/README.md explains the configuration and the targets.
"""

import gc
import sys
from pathlib import Path

from promptscale import workflow_config
from promptscale.errors import PromptscaleError
from promptscale.planning.costs import beyond_budget
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")

# Another workflow may use this one as a module (docs/module.md). It then has the configuration that the
# module is given, and the arguments of the command are those of the other workflow.
IS_MODULE = not workflow.modifier.is_main_snakefile()

# Planning leaves no garbage, and the collector would search its thousands of jobs again and again.
if not IS_MODULE:
    gc.disable()

# A file given with --configfile takes the place of the default; keys given with --config change single
# keys of either.
FILES = [] if IS_MODULE else list(workflow.overwrite_configfiles)
CHECKOUT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))

if not FILES and not (config if IS_MODULE else "published" in config):
    FILES = [CHECKOUT / "config/miniature.yaml"]

    configfile: str(FILES[0])


try:
    CONTENT, CONFIG, ENVIRONMENT, PUBLISHED = workflow_config.read(
        config,
        FILES,
        [] if IS_MODULE else workflow.config_settings.config_args or [],
        [] if IS_MODULE else sys.argv,
    )
except PromptscaleError as error:
    raise WorkflowError(str(error)) from None

config.clear()
config.update(CONTENT)


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/reports.smk"


# Published results are drawn without the rules that could make new ones.
if PUBLISHED is None:

    include: "workflow/rules/data.smk"
    include: "workflow/rules/models.smk"
    include: "workflow/rules/tuning.smk"
    include: "workflow/rules/collect.smk"


include: "workflow/rules/results.smk"
include: "workflow/rules/targets.smk"


onstart:
    gc.enable()
    # The workflow ends before its first job if the jobs to be run cost more than the budget.
    planned = [
        job for job in workflow.dag.needrun_jobs() if job.rule.name in BUDGETED
    ]
    if refusal := beyond_budget(
        CONFIG, [job_for(job.wildcards) for job in planned]
    ):
        raise WorkflowError(refusal)


rule all:
    default_target: True
    input:
        # A run whose files were deleted by hand is made again.
        [] if PUBLISHED else rules.collect_runs.input,
        rules.figures.output,
        rules.tables.output,
        rules.claims.output,
        rules.page.output,
    localrule: True
