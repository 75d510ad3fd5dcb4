"""From finished jobs to the tidy tables that figures, tables and claims read."""

LARGEST = outputs.largest_size(CONFIG)
SERVED = [
    job
    for job in grid.prompt_jobs(CONFIG)
    if job.size == LARGEST
    and job.checkpoint == CONFIG.default_checkpoint
    and job.settings == CONFIG.prompt_tuning
]
# The models whose prompts are interpreted.
INTERPRETED = {
    "size": CONFIG.sizes,
    "checkpoint": grid.checkpoints_of(CONFIG, CONFIG.default_checkpoint),
}


rule vote:
    input:
        predictions=voting_predictions,
        rows=prepared_paths(CONFIG.tasks, "validation"),
    output:
        f"{RESULTS}/ensembles/{{size}}/metrics.csv",
    log:
        f"{RESULTS}/logs/ensembles/{{size}}.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        events=event_file("ensembles/{size}"),
    params:
        jobs=voting_specifications,
    message:
        "votes of the prompts of {wildcards.size}"
    script:
        "../scripts/vote.py"


rule collect_runs:
    input:
        metrics_paths(JOBS.values()),
        expand(rules.vote.output, size=ENSEMBLES),
    output:
        f"{RESULTS}/runs.csv",
    log:
        f"{RESULTS}/logs/collect_runs.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        default=describe(CONFIG.default_setting),
    message:
        "collecting the runs"
    script:
        "../scripts/collect_runs.py"


rule collect_datasets:
    input:
        [
            f"{RESULTS}/data/{task}/{split}.jsonl"
            for task, split in outputs.splits(CONFIG)
        ],
    output:
        datasets=f"{RESULTS}/datasets.csv",
        majority=f"{RESULTS}/majority.csv",
    log:
        f"{RESULTS}/logs/collect_datasets.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    message:
        "counting the datasets"
    script:
        "../scripts/collect_datasets.py"


rule interpret_prompts:
    input:
        checkpoint=checkpoint_path("{size}", "{checkpoint}"),
        vocabulary=VOCABULARY,
        prompts=interpreted_prompts,
    output:
        summary=f"{RESULTS}/interpretability/{{size}}/{{checkpoint}}/summary.csv",
        neighbours=f"{RESULTS}/interpretability/{{size}}/{{checkpoint}}/neighbours.csv",
    log:
        f"{RESULTS}/logs/interpretability/{{size}}-{{checkpoint}}.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        events=event_file("interpretability/{size}-{checkpoint}"),
    params:
        jobs=interpreted_specifications,
    message:
        "neighbours of the prompts of {wildcards.size} {wildcards.checkpoint}"
    script:
        "../scripts/interpret_prompts.py"


rule collect_interpretability:
    input:
        summaries=expand(rules.interpret_prompts.output.summary, **INTERPRETED),
        neighbours=expand(rules.interpret_prompts.output.neighbours, **INTERPRETED),
    output:
        interpretability=f"{RESULTS}/interpretability.csv",
        domain_words=f"{RESULTS}/domain_words.csv",
        neighbour_lists=f"{RESULTS}/neighbour_lists.csv",
    log:
        f"{RESULTS}/logs/collect_interpretability.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        prompt_length=CONFIG.prompt_tuning.prompt_length,
    message:
        "collecting the prompts' neighbours"
    script:
        "../scripts/collect_interpretability.py"


rule serve:
    input:
        checkpoint=checkpoint_path(LARGEST, CONFIG.default_checkpoint),
        prompts=prompt_folders(SERVED),
        validation=prepared_paths(CONFIG.tasks, "validation"),
    output:
        f"{RESULTS}/serving.csv",
    log:
        f"{RESULTS}/logs/serve.log",
    conda:
        MODEL_ENVIRONMENT
    threads: 8
    resources:
        **job_resources(CONFIG, SERVED[0]),
        events=event_file("serve"),
    params:
        jobs=lambda wildcards: specifications(SERVED),
    message:
        "serving with several prompts at once"
    script:
        "../scripts/serve.py"


rule count_error_modes:
    input:
        prediction_folders(LABELLED_JOBS),
    output:
        f"{RESULTS}/error_modes.csv",
    log:
        f"{RESULTS}/logs/count_error_modes.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        jobs=lambda wildcards: specifications(LABELLED_JOBS),
    message:
        "counting the error modes"
    script:
        "../scripts/count_error_modes.py"


rule collect_predictions:
    input:
        prediction_folders(JOBS.values()),
    output:
        **{
            name: f"{RESULTS}/{name}.csv"
            for name in ("outcomes", "examples", "predictions")
        },
    log:
        f"{RESULTS}/logs/collect_predictions.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        jobs=lambda wildcards: specifications(JOBS.values()),
    message:
        "collecting the predictions"
    script:
        "../scripts/collect_predictions.py"


rule collect_trials:
    input:
        [f"{RESULTS}/search/{name}/metrics.csv" for name in SEARCH_JOBS],
    output:
        f"{RESULTS}/search/trials.csv",
    log:
        f"{RESULTS}/logs/collect_trials.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        jobs=lambda wildcards: specifications(SEARCH_JOBS.values()),
    message:
        "ranking the trials"
    script:
        "../scripts/collect_trials.py"


rule publish:
    input:
        runs=rules.collect_runs.output[0],
        datasets=rules.collect_datasets.output.datasets,
        majority=rules.collect_datasets.output.majority,
        interpretability=rules.collect_interpretability.output.interpretability,
        domain_words=(
            rules.collect_interpretability.output.domain_words
            if len(CONFIG.tasks) > 1
            else []
        ),
        serving=rules.serve.output[0] if len(CONFIG.tasks) > 1 else [],
        error_modes=rules.count_error_modes.output[0] if LABELLED_JOBS else [],
        neighbour_lists=rules.collect_interpretability.output.neighbour_lists,
        outcomes=rules.collect_predictions.output.outcomes,
        # Texts of published datasets are not ours to publish.
        examples=(
            rules.collect_predictions.output.examples if CONFIG.data.generated else []
        ),
        predictions=(
            rules.collect_predictions.output.predictions
            if CONFIG.data.generated
            else []
        ),
    output:
        # The job replaces a bundle, and needs the older manifest to see whose results it replaces.
        update(f"{outputs.published_folder(CONFIG)}/manifest.json"),
    log:
        f"{RESULTS}/logs/publish.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        configuration=lambda wildcards: CONFIG.model_dump_json(),
    message:
        "packing the results for publication"
    script:
        "../scripts/publish.py"
