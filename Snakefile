"""The Power of Scale for Parameter-Efficient Prompt Tuning: the whole experiment.

    snakemake all                                      the miniature
    snakemake all --configfile config/real.yaml        another experiment

config/README.md explains the configuration and the targets.
"""

from snakemake.utils import min_version

min_version("9.0")


if "sizes" not in config:  # no --configfile given

    configfile: "config/miniature.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/tuning.smk"
include: "workflow/rules/results.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        rules.collect_runs.input,  # so that a run deleted by hand is missed
        rules.figures.input,
        rules.tables.input,
