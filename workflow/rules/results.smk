"""From tidy tables to figures, tables and claims, without JAX and TensorFlow."""


rule figure:
    input:
        runs=table_path("runs"),
        majority=table_path("majority"),
    output:
        multiext(f"{FIGURES}/{{figure}}", ".pdf", ".png", ".csv"),
    log:
        f"{RESULTS}/logs/{{figure}}.log",
    wildcard_constraints:
        figure=alternatives(outputs.figures(CONFIG)),
    conda:
        "../../envs/cpu.yaml"
    params:
        reporting=REPORT,
    message:
        "drawing {wildcards.figure}"
    script:
        "../scripts/draw_figure.py"


rule table:
    input:
        unpack(table_inputs),
    output:
        multiext(f"{RESULTS}/tables/{{table}}", ".csv", ".md", ".tex"),
    log:
        f"{RESULTS}/logs/{{table}}.log",
    wildcard_constraints:
        table=alternatives(
            [*outputs.tables(CONFIG), *(["table6"] if SEARCH_JOBS else [])]
        ),
    conda:
        "../../envs/cpu.yaml"
    params:
        reporting=table_report,
    message:
        "writing {wildcards.table}"
    script:
        "../scripts/write_table.py"


rule evaluate_claims:
    input:
        runs=table_path("runs"),
        interpretability=table_path("interpretability"),
    output:
        multiext(f"{RESULTS}/claims", ".csv", ".md"),
    log:
        f"{RESULTS}/logs/claims.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        reporting=REPORT,
    message:
        "evaluating the paper's claims"
    script:
        "../scripts/evaluate_claims.py"
