"""The Power of Scale for Parameter-Efficient Prompt Tuning: the whole experiment.

    snakemake all                                      the miniature
    snakemake all --configfile config/paper.yaml       the paper
    snakemake --profile cached figures tables          from published results, without any training

config/README.md explains the configuration and the targets.
"""

from snakemake.utils import min_version

min_version("9.27")


if "sizes" not in config and "published" not in config:  # no --configfile given

    configfile: "config/miniature.yaml"


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
    refuse_beyond_budget(workflow.dag.needrun_jobs())


localrules:
    all,


rule all:
    default_target: True
    input:
        # So that a run deleted by hand is missed.
        [] if PUBLISHED else rules.collect_runs.input,
        [figure_files(name) for name in FIGURE_NAMES],
        [table_files(name) for name in TABLE_NAMES],
        rules.test_claims.output,
