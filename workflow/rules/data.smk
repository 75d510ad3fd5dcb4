"""From raw datasets to token arrays: a job for all tasks, and a job for each slice of the corpus."""

if CONFIG.data.generated:

    rule generate_world:
        output:
            data_dir=directory(DATA_DIR),
            vocabulary=VOCABULARY,
        log:
            f"{RESULTS}/logs/generate_world.log",
        conda:
            "../../envs/cpu.yaml"
        message:
            "generating the miniature world"
        script:
            "../scripts/generate_world.py"


if not CONFIG.data.generated:

    rule fetch_vocabulary:
        output:
            VOCABULARY,
        log:
            f"{RESULTS}/logs/fetch_vocabulary.log",
        conda:
            "../../envs/cpu.yaml"
        # A location changes no result. The file does, and a bucket cannot be looked at.
        resources:
            location=CONFIG.data.vocabulary,
        params:
            vocabulary=fingerprint(CONFIG.data.vocabulary) or CONFIG.data.vocabulary,
        message:
            "fetching the vocabulary"
        script:
            "../scripts/fetch_vocabulary.py"


# The folder of the generated datasets; TFDS looks for the published datasets itself.
RAW = rules.generate_world.output.data_dir if CONFIG.data.generated else []


# A single job, because the import of TensorFlow takes longer than the preparation of a small split.
rule prepare_tasks:
    input:
        raw=RAW,
        vocabulary=VOCABULARY,
    output:
        tokens=split_paths(SPLITS, "safetensors"),
        rows=split_paths(SPLITS, "jsonl"),
    log:
        f"{RESULTS}/logs/prepare/tasks.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        data_dir=DATA_DIR,
    params:
        files=lambda wildcards: made_from(SPLITS),
    message:
        "preparing the tasks"
    script:
        "../scripts/prepare_tasks.py"


rule prepare_text:
    input:
        raw=RAW,
        vocabulary=VOCABULARY,
    output:
        f"{RESULTS}/data/c4/train-{{shard}}-of-{CONFIG.data.corpus_shards}.safetensors",
    log:
        f"{RESULTS}/logs/prepare/c4-train-{{shard}}.log",
    priority: 20
    conda:
        "../../envs/cpu.yaml"
    resources:
        data_dir=DATA_DIR,
    params:
        shards=CONFIG.data.corpus_shards,
        corpus=CONFIG.data.corpus,
        files=raw_files(CONFIG.data.corpus.split(":")[0], "train"),
    message:
        "preparing C4, slice {wildcards.shard}"
    script:
        "../scripts/prepare_text.py"
