"""From finished runs to one tidy table, figures and tables. Neither JAX nor TensorFlow here."""

FIGURE_NAMES = (
    ["figure1", "figure3a", "figure4"] if len(CONFIG.sizes) > 1 else ["figure4"]
)
TABLE_NAMES = ["table4", "table5"] if "boolq" in CONFIG.tasks else ["table4"]
TABLE_NAMES += [f"table{number}" for number in range(7, 17)]


localrules:
    collect_runs,
    collect_datasets,
    figures,
    tables,


rule collect_runs:
    input:
        expand(f"{RESULTS}/runs/{{job}}/metrics.csv", job=JOBS),
    output:
        f"{RESULTS}/runs.csv",
    log:
        f"{RESULTS}/logs/collect_runs.log",
    conda:
        "../../envs/cpu.yaml"
    message:
        "collecting the runs"
    script:
        "../scripts/collect_runs.py"


rule collect_datasets:
    input:
        [
            f"{RESULTS}/data/{task}/{split}.jsonl"
            for task in CONFIG.tasks
            for split, _ in TASKS[task].splits
        ],
    output:
        datasets=f"{RESULTS}/datasets.csv",
        majority=f"{RESULTS}/majority.csv",
    log:
        f"{RESULTS}/logs/collect_datasets.log",
    conda:
        "../../envs/cpu.yaml"
    message:
        "counting the datasets"
    script:
        "../scripts/collect_datasets.py"


rule figure:
    input:
        runs=rules.collect_runs.output[0],
        majority=rules.collect_datasets.output.majority,
    output:
        multiext(f"{FIGURES}/{{figure}}", ".pdf", ".png", ".csv"),
    log:
        f"{RESULTS}/logs/{{figure}}.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        default=default_setting(),
        architectures=custom_architectures(),
    message:
        "drawing {wildcards.figure}"
    script:
        "../scripts/draw_figure.py"


rule table:
    input:
        runs=rules.collect_runs.output[0],
        datasets=rules.collect_datasets.output.datasets,
    output:
        multiext(f"{RESULTS}/tables/{{table}}", ".csv", ".md", ".tex"),
    log:
        f"{RESULTS}/logs/{{table}}.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        default=default_setting(),
        architectures=custom_architectures(),
    message:
        "writing {wildcards.table}"
    script:
        "../scripts/write_table.py"


rule figures:
    input:
        expand(f"{FIGURES}/{{figure}}.png", figure=FIGURE_NAMES),


rule tables:
    input:
        expand(f"{RESULTS}/tables/{{table}}.md", table=TABLE_NAMES),
