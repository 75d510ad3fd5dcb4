"""The frozen models: imported where a location is given, else trained here."""

MODELS = outputs.frozen_models(CONFIG)
TRAINED = {base for size, base in MODELS if grid.source(CONFIG, size, base) == "train"}


rule train_language_model:
    input:
        checkpoint=start_of,
        text=expand(
            rules.prepare_text.output, shard=range(CONFIG.data.corpus_shards_used)
        ),
        vocabulary=VOCABULARY,
    output:
        pointer=frozen_model("{size}", "{base}"),
        losses=f"{RESULTS}/models/{{size}}/{{base}}/losses.csv",
    log:
        f"{RESULTS}/logs/models/{{size}}-{{base}}.log",
    wildcard_constraints:
        base=either(TRAINED),
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
        "training {wildcards.size} by {wildcards.base}"
    script:
        "../scripts/train_language_model.py"


rule import_checkpoint:
    output:
        pointer=frozen_model("{size}", "{base}"),
    log:
        f"{RESULTS}/logs/models/{{size}}-{{base}}.log",
    wildcard_constraints:
        base=either(set(CONFIG.bases) - TRAINED),
    conda:
        "../../envs/cpu.yaml"
    params:
        location=location_of,
        architecture=architecture_of,
    message:
        "importing {wildcards.size} {wildcards.base}"
    script:
        "../scripts/import_checkpoint.py"
