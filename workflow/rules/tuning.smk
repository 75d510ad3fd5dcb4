"""Prompt tuning, model tuning and text prompts: one job per block of runs on a frozen model."""


def job_of(wildcards):
    """The job that a wildcard names."""
    return (JOBS | SEARCH_JOBS)[wildcards.job]


def checkpoint_of(wildcards):
    """The frozen model of a job."""
    job = job_of(wildcards)
    return frozen_model(job.size, job.base)


def train_splits(wildcards):
    """The prepared training splits of a job's tasks."""
    return [
        f"{RESULTS}/data/{t}/train.safetensors" for t in job_of(wildcards).train_tasks
    ]


def validation_splits(wildcards):
    """The prepared validation splits that a job is evaluated on."""
    tasks = job_of(wildcards).evaluated_tasks
    return [f"{RESULTS}/data/{task}/validation.safetensors" for task in tasks]


def job_specification(wildcards):
    """Everything that a job depends on besides its files; a change of it reruns the job."""
    return job_of(wildcards).model_dump_json()


def jobs_by(*methods):
    """A wildcard constraint that admits the jobs of these methods."""
    return either(name for name, job in JOBS.items() if job.method in methods)


rule train_prompts:
    input:
        checkpoint=checkpoint_of,
        vocabulary=VOCABULARY,
        train=train_splits,
        validation=validation_splits,
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
    params:
        job=job_specification,
        state=f"{STATE}/runs/{{job}}.safetensors",
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
    params:
        job=job_specification,
        state=f"{STATE}/runs/{{job}}.safetensors",
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
    output:
        metrics=f"{RESULTS}/search/{{job}}/metrics.csv",
    log:
        f"{RESULTS}/logs/search/{{job}}.log",
    wildcard_constraints:
        job=either(SEARCH_JOBS),
    conda:
        "../../envs/cpu.yaml"
    params:
        job=job_specification,
        state=f"{STATE}/search/{{job}}.safetensors",
    message:
        "{wildcards.job}"
    script:
        "../scripts/tune.py"
