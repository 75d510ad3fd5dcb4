"""The frozen models: imported where a location is given, else trained here."""


rule train_language_model:
    input:
        checkpoint=start_of,
        text=rules.prepare_text.output[0],
        vocabulary=VOCABULARY,
    output:
        model=directory(f"{RESULTS}/models/{{size}}/{{base}}/checkpoint"),
        losses=f"{RESULTS}/models/{{size}}/{{base}}/losses.csv",
    log:
        f"{RESULTS}/logs/models/{{size}}-{{base}}.log",
    wildcard_constraints:
        base=either({name.split("/")[1] for name in TRAINED}),
    priority: 10
    conda:
        "../../envs/cpu.yaml"
    params:
        job=language_model_specification,
        state=f"{STATE}/models/{{size}}/{{base}}.safetensors",
    message:
        "training {wildcards.size} by {wildcards.base}"
    script:
        "../scripts/train_language_model.py"


rule import_checkpoint:
    output:
        model=directory(f"{RESULTS}/models/{{size}}/{{base}}/checkpoint"),
    log:
        f"{RESULTS}/logs/models/{{size}}-{{base}}.log",
    wildcard_constraints:
        base=either(set(CONFIG.bases) - {name.split("/")[1] for name in TRAINED}),
    conda:
        "../../envs/cpu.yaml"
    params:
        location=location_of,
        architecture=architecture_of,
    message:
        "importing {wildcards.size} {wildcards.base}"
    script:
        "../scripts/import_checkpoint.py"
