"""Prompt tuning and model tuning: one job per setting, all of its seeds together."""


rule train_prompts:
    input:
        checkpoint=checkpoint_of,
        vocabulary=VOCABULARY,
        train=prepared("train"),
        validation=prepared("validation"),
    output:
        metrics=f"{RESULTS}/runs/{{job}}/metrics.csv",
        prompts=expand(
            f"{RESULTS}/runs/{{job}}/prompts/seed_{{seed}}.npy",
            seed=CONFIG.seeds,
            allow_missing=True,
        ),
        predictions=expand(
            f"{RESULTS}/runs/{{job}}/predictions/seed_{{seed}}.jsonl",
            seed=CONFIG.seeds,
            allow_missing=True,
        ),
    log:
        f"{RESULTS}/logs/runs/{{job}}.log",
    wildcard_constraints:
        job=either(name for name, job in JOBS.items() if job.method == "prompt_tuning"),
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
        train=prepared("train"),
        validation=prepared("validation"),
    output:
        metrics=f"{RESULTS}/runs/{{job}}/metrics.csv",
        predictions=rules.train_prompts.output.predictions,
    log:
        f"{RESULTS}/logs/runs/{{job}}.log",
    wildcard_constraints:
        job=either(name for name, job in JOBS.items() if job.method == "model_tuning"),
    conda:
        "../../envs/cpu.yaml"
    params:
        job=job_specification,
        state=f"{STATE}/runs/{{job}}.safetensors",
    message:
        "{wildcards.job}"
    script:
        "../scripts/tune.py"
