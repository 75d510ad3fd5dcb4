"""Prompt tuning, model tuning, text prompts and the search: a job trains a batch of runs.

Published prompts are evaluated alone.
"""


rule train_prompts:
    input:
        checkpoint=start_checkpoint,
        vocabulary=VOCABULARY,
        train=train_paths,
        validation=validation_paths,
        initialization=initial_prompt,
    output:
        metrics=f"{RESULTS}/runs/{{job}}/metrics.csv",
        prompts=directory(f"{RESULTS}/runs/{{job}}/prompts"),
        predictions=directory(f"{RESULTS}/runs/{{job}}/predictions"),
    log:
        f"{RESULTS}/logs/runs/{{job}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/runs/{{job}}.tsv"
    wildcard_constraints:
        job=job_names("prompt_tuning"),
    conda:
        MODEL_ENVIRONMENT
    threads: job_threads
    resources:
        **RESOURCES,
        events=event_file("runs/{job}"),
        state=state_location,
    params:
        job=job_specification,
        initialization=initial_prompt_files,
    message:
        "{wildcards.job}"
    script:
        "../scripts/tune.py"


rule tune_model:
    input:
        checkpoint=start_checkpoint,
        vocabulary=VOCABULARY,
        train=train_paths,
        validation=validation_paths,
    output:
        metrics=f"{RESULTS}/runs/{{job}}/metrics.csv",
        predictions=directory(f"{RESULTS}/runs/{{job}}/predictions"),
    log:
        f"{RESULTS}/logs/runs/{{job}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/runs/{{job}}.tsv"
    wildcard_constraints:
        job=job_names("model_tuning", "model_tuning_multitask"),
    conda:
        MODEL_ENVIRONMENT
    threads: job_threads
    resources:
        **RESOURCES,
        events=event_file("runs/{job}"),
        state=state_location,
    params:
        job=job_specification,
    message:
        "{wildcards.job}"
    script:
        "../scripts/tune.py"


rule evaluate_text_prompts:
    input:
        checkpoint=start_checkpoint,
        vocabulary=VOCABULARY,
        train=train_paths,
        validation=validation_paths,
    output:
        metrics=f"{RESULTS}/runs/{{job}}/metrics.csv",
        predictions=directory(f"{RESULTS}/runs/{{job}}/predictions"),
    log:
        f"{RESULTS}/logs/runs/{{job}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/runs/{{job}}.tsv"
    wildcard_constraints:
        job=job_names("prompt_design"),
    conda:
        MODEL_ENVIRONMENT
    threads: job_threads
    resources:
        **RESOURCES,
        events=event_file("runs/{job}"),
    params:
        job=job_specification,
    message:
        "{wildcards.job}"
    script:
        "../scripts/evaluate_text_prompts.py"


rule search_hyperparameters:
    input:
        checkpoint=start_checkpoint,
        vocabulary=VOCABULARY,
        train=train_paths,
        validation=validation_paths,
        initialization=initial_prompt,
    output:
        metrics=f"{RESULTS}/search/{{job}}/metrics.csv",
    log:
        f"{RESULTS}/logs/search/{{job}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/search/{{job}}.tsv"
    wildcard_constraints:
        job=job_names("hyperparameter_search"),
    conda:
        MODEL_ENVIRONMENT
    threads: job_threads
    resources:
        **RESOURCES,
        events=event_file("search/{job}"),
        state=state_location,
    params:
        job=job_specification,
        initialization=initial_prompt_files,
    message:
        "{wildcards.job}"
    script:
        "../scripts/tune.py"


if PUBLISHED_PROMPTS:

    rule evaluate_published_prompts:
        input:
            checkpoint=checkpoint_path(
                PUBLISHED_PROMPTS.size, PUBLISHED_PROMPTS.checkpoint
            ),
            vocabulary=VOCABULARY,
            validation=prepared_paths(PUBLISHED_PROMPTS.tasks, "validation"),
            prompts=[input_file(path) for path in outputs.prompts(CONFIG).values()],
        output:
            table=f"{RESULTS}/published_prompts.csv",
            predictions=directory(f"{RESULTS}/published_prompts"),
        log:
            f"{RESULTS}/logs/published_prompts.log",
        conda:
            MODEL_ENVIRONMENT
        threads: 8
        resources:
            **job_resources(CONFIG, PUBLISHED_PROMPTS),
            events=event_file("published_prompts"),
        params:
            job=lambda wildcards: PUBLISHED_PROMPTS.model_dump_json(),
        message:
            "published prompts on {PUBLISHED_PROMPTS.size}"
        script:
            "../scripts/evaluate_published_prompts.py"
