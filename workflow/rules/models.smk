"""The frozen models: imported where a location is given, else trained here."""

MODELS = outputs.checkpoints(CONFIG)
TRAINED = {name for _, name in outputs.trained_checkpoints(CONFIG)}


rule train_language_model:
    input:
        checkpoint=start_of,
        text=expand(
            rules.prepare_text.output, shard=range(CONFIG.data.corpus_shards_used)
        ),
        vocabulary=VOCABULARY,
    output:
        pointer=checkpoint_path("{size}", "{checkpoint}"),
        losses=f"{RESULTS}/models/{{size}}/{{checkpoint}}/losses.csv",
    log:
        f"{RESULTS}/logs/models/{{size}}-{{checkpoint}}.log",
    wildcard_constraints:
        checkpoint=either(TRAINED),
    priority: 10
    conda:
        "../../envs/cpu.yaml"
    resources:
        tpu_type=tpu_type,
        tpu_chips=tpu_chips,
        model_axis=model_axis,
        examples_at_a_time=examples_at_a_time,
        model=model_folder,
        state=model_state,
        in_place="text",
    params:
        job=language_model_specification,
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
        checkpoint=either(set(CONFIG.checkpoint_names) - TRAINED),
    conda:
        "../../envs/cpu.yaml"
    params:
        location=location_of,
        architecture=architecture_of,
    message:
        "importing {wildcards.size} {wildcards.checkpoint}"
    script:
        "../scripts/import_checkpoint.py"
