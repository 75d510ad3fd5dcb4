"""Prompt tuning, model tuning and text prompts: one job per block of runs on a frozen model."""


rule train_prompts:
    input:
        checkpoint=checkpoint_of,
        vocabulary=VOCABULARY,
        train=train_splits,
        validation=validation_splits,
        initialization=initialization_of,
    output:
        metrics=f"{RESULTS}/runs/{{job}}/metrics.csv",
        prompts=directory(f"{RESULTS}/runs/{{job}}/prompts"),
        predictions=directory(f"{RESULTS}/runs/{{job}}/predictions"),
    log:
        f"{RESULTS}/logs/runs/{{job}}.log",
    wildcard_constraints:
        job=jobs_by("prompt_tuning"),
    conda:
        "../../envs/cpu.yaml"
    resources:
        tpu_type=tpu_type,
        tpu_chips=tpu_chips,
        model_axis=model_axis,
        examples_at_a_time=examples_at_a_time,
        state=run_state,
    params:
        job=job_specification,
    message:
        "{wildcards.job}"
    script:
        "../scripts/tune.py"


rule tune_model:
    input:
        checkpoint=checkpoint_of,
        vocabulary=VOCABULARY,
        train=train_splits,
        validation=validation_splits,
    output:
        metrics=f"{RESULTS}/runs/{{job}}/metrics.csv",
        predictions=directory(f"{RESULTS}/runs/{{job}}/predictions"),
    log:
        f"{RESULTS}/logs/runs/{{job}}.log",
    wildcard_constraints:
        job=jobs_by("model_tuning", "model_tuning_multitask"),
    conda:
        "../../envs/cpu.yaml"
    resources:
        tpu_type=tpu_type,
        tpu_chips=tpu_chips,
        model_axis=model_axis,
        examples_at_a_time=examples_at_a_time,
        state=run_state,
    params:
        job=job_specification,
    message:
        "{wildcards.job}"
    script:
        "../scripts/tune.py"


rule evaluate_text_prompts:
    input:
        checkpoint=checkpoint_of,
        vocabulary=VOCABULARY,
        train=train_splits,
        validation=validation_splits,
    output:
        metrics=f"{RESULTS}/runs/{{job}}/metrics.csv",
        predictions=directory(f"{RESULTS}/runs/{{job}}/predictions"),
    log:
        f"{RESULTS}/logs/runs/{{job}}.log",
    wildcard_constraints:
        job=jobs_by("prompt_design"),
    conda:
        "../../envs/cpu.yaml"
    resources:
        tpu_type=tpu_type,
        tpu_chips=tpu_chips,
        model_axis=model_axis,
        examples_at_a_time=examples_at_a_time,
    params:
        job=job_specification,
    message:
        "{wildcards.job}"
    script:
        "../scripts/evaluate_text_prompts.py"


rule search_hyperparameters:
    input:
        checkpoint=checkpoint_of,
        vocabulary=VOCABULARY,
        train=train_splits,
        validation=validation_splits,
        initialization=initialization_of,
    output:
        metrics=f"{RESULTS}/search/{{job}}/metrics.csv",
    log:
        f"{RESULTS}/logs/search/{{job}}.log",
    wildcard_constraints:
        job=either(SEARCH_JOBS),
    conda:
        "../../envs/cpu.yaml"
    resources:
        tpu_type=tpu_type,
        tpu_chips=tpu_chips,
        model_axis=model_axis,
        examples_at_a_time=examples_at_a_time,
        state=search_state,
    params:
        job=job_specification,
    message:
        "{wildcards.job}"
    script:
        "../scripts/tune.py"
