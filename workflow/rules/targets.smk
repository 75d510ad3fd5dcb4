"""The targets that have a name and no script; config/README.md lists them all."""

for figure_name in FIGURE_NAMES:

    rule:
        name:
            figure_name
        input:
            rendered_figure(figure_name),
        localrule: True


for table_name in TABLE_NAMES:

    rule:
        name:
            table_name
        input:
            rendered_table(table_name),
        localrule: True


if PUBLISHED is None:

    for axis in grid.prompt_settings(CONFIG):

        rule:
            name:
                f"ablation_{axis}"
            input:
                metrics_paths(grid.prompt_jobs(CONFIG, axis)),
            localrule: True

    TARGETS = {
        "model_tuning": metrics_paths(grid.model_jobs(CONFIG)),
        "domain_shift": metrics_paths(grid.domain_shift_jobs(CONFIG)),
        "ensemble": expand(rules.vote.output, size=ENSEMBLES),
        "lm_adaptation": [
            checkpoint_path(size, checkpoint)
            for size, checkpoint in MODELS
            if adaptation_steps(checkpoint)
        ],
        "published_prompts": (
            rendered_table("published_prompts") if PUBLISHED_PROMPTS else []
        ),
        "hyperparameter_search": rendered_table("table6") if SEARCH_JOBS else [],
    }
    for target in TARGETS:

        rule:
            name:
                target
            input:
                partial(target_files, target, TARGETS[target]),
            localrule: True
