"""The checkpoints that jobs start from: imported from a location, or trained here."""

MODELS = outputs.checkpoints(CONFIG)
TRAINED = {name for _, name in TRAINED_MODELS}


rule train_language_model:
    input:
        checkpoint=continued_checkpoint,
        text=expand(
            rules.prepare_text.output, shard=range(CONFIG.data.corpus_shards_used)
        ),
        vocabulary=VOCABULARY,
    output:
        pointer=checkpoint_path("{size}", "{checkpoint}"),
        losses=f"{RESULTS}/models/{{size}}/{{checkpoint}}/losses.csv",
    log:
        f"{RESULTS}/logs/models/{{size}}-{{checkpoint}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/models/{{size}}-{{checkpoint}}.tsv"
    wildcard_constraints:
        checkpoint=alternatives(TRAINED),
    priority: 10
    conda:
        MODEL_ENVIRONMENT
    threads: job_threads
    resources:
        **RESOURCES,
        events=event_file("models/{size}-{checkpoint}"),
        model=model_location,
        state=state_location,
        in_place="text",
    params:
        job=job_specification,
    message:
        "training {wildcards.size} by {wildcards.checkpoint}"
    script:
        "../scripts/train_language_model.py"


rule import_checkpoint:
    output:
        pointer=checkpoint_path("{size}", "{checkpoint}"),
    log:
        f"{RESULTS}/logs/models/{{size}}-{{checkpoint}}.log",
    wildcard_constraints:
        checkpoint=alternatives(CHECKPOINTS - TRAINED),
    conda:
        "../../envs/cpu.yaml"
    resources:
        events=event_file("models/{size}-{checkpoint}"),
        restored_accumulators=restored_accumulators,
    params:
        location=checkpoint_source,
        files=checkpoint_files,
        architecture=architecture,
    message:
        "importing {wildcards.size} {wildcards.checkpoint}"
    script:
        "../scripts/import_checkpoint.py"
