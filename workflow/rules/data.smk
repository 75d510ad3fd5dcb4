"""From raw datasets to token arrays.

A job prepares a split of a task. Of generated data a single job prepares all splits that there are,
because the import of TensorFlow takes longer than the preparation of a small split.
"""

if CONFIG.data.generated:

    rule generate_world:
        output:
            data_dir=directory(DATA_DIR),
            vocabulary=VOCABULARY,
        log:
            f"{RESULTS}/logs/generate_world.log",
        conda:
            "../../envs/cpu.yaml"
        resources:
            events=event_file("generate_world"),
        params:
            seed=CONFIG.data.seed,
        message:
            "generating the miniature world"
        script:
            "../scripts/generate_world.py"

    # All splits, and not those of the configuration: a further task prepares nothing again.
    rule prepare_tasks:
        input:
            raw=DATA_DIR,
            vocabulary=VOCABULARY,
        output:
            [
                f"{RESULTS}/data/{name}/{split}.{kind}"
                for name, task in TASKS.items()
                for split in task.splits
                for kind in ("safetensors", "jsonl")
            ],
        log:
            f"{RESULTS}/logs/prepare/tasks.log",
        conda:
            "../../envs/cpu.yaml"
        resources:
            events=event_file("prepare/tasks"),
            data_dir=DATA_DIR,
        message:
            "preparing all tasks"
        script:
            "../scripts/prepare_tasks.py"


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
            events=event_file("fetch_vocabulary"),
            location=CONFIG.data.vocabulary,
        params:
            vocabulary=fingerprint(CONFIG.data.vocabulary) or CONFIG.data.vocabulary,
        message:
            "fetching the vocabulary"
        script:
            "../scripts/fetch_vocabulary.py"

    rule prepare_task:
        input:
            vocabulary=VOCABULARY,
        output:
            tokens=f"{RESULTS}/data/{{task}}/{{split}}.safetensors",
            rows=f"{RESULTS}/data/{{task}}/{{split}}.jsonl",
        log:
            f"{RESULTS}/logs/prepare/{{task}}-{{split}}.log",
        conda:
            "../../envs/cpu.yaml"
        resources:
            events=event_file("prepare/{task}-{split}"),
            data_dir=DATA_DIR,
        params:
            files=task_files,
        message:
            "preparing {wildcards.task} {wildcards.split}"
        script:
            "../scripts/prepare_tasks.py"


# The folder of the generated datasets; TFDS looks for the published datasets itself.
RAW = rules.generate_world.output.data_dir if CONFIG.data.generated else []


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
        events=event_file("prepare/c4-train-{shard}"),
        data_dir=DATA_DIR,
    params:
        shards=CONFIG.data.corpus_shards,
        corpus=CONFIG.data.corpus,
        files=raw_files(CONFIG.data.corpus.split(":")[0], "train"),
    message:
        "preparing C4, slice {wildcards.shard}"
    script:
        "../scripts/prepare_text.py"
