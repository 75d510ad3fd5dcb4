"""What a person asks for by name; config/README.md lists them."""

FIGURE_NAMES = outputs.figures(CONFIG)
TABLE_NAMES = outputs.tables(CONFIG)


localrules:
    figures,
    tables,
    claims,


rule figures:
    input:
        [figure_files(name) for name in FIGURE_NAMES],


rule tables:
    input:
        [table_files(name) for name in TABLE_NAMES],


rule claims:
    input:
        rules.test_claims.output,


for figure_name in FIGURE_NAMES:

    rule:
        name:
            figure_name
        input:
            figure_files(figure_name),
        localrule: True


for table_name in TABLE_NAMES:

    rule:
        name:
            table_name
        input:
            table_files(table_name),
        localrule: True


if PUBLISHED is None:

    for axis in grid.prompt_settings(CONFIG):

        rule:
            name:
                f"ablation_{axis}"
            input:
                metrics_of(grid.prompt_jobs(CONFIG, axis)),
            localrule: True

    TARGETS = {
        "model_tuning": metrics_of(grid.model_jobs(CONFIG)),
        "domain_shift": metrics_of(grid.domain_shift_jobs(CONFIG)),
        "ensemble": expand(rules.vote.output, size=ENSEMBLES),
        "lm_adaptation": [
            checkpoint_path(size, checkpoint)
            for size, checkpoint in MODELS
            if adaptation_steps(checkpoint)
        ],
        "hyperparameter_search": table_files("table6") if SEARCH_JOBS else [],
    }
    for target in TARGETS:

        rule:
            name:
                target
            input:
                TARGETS[target],
            localrule: True
