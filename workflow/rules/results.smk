"""From tidy tables to figures, tables and claims. Neither JAX nor TensorFlow here."""


rule figure:
    input:
        runs=tidy("runs"),
        majority=tidy("majority"),
    output:
        multiext(f"{FIGURES}/{{figure}}", ".pdf", ".png", ".csv"),
    log:
        f"{RESULTS}/logs/{{figure}}.log",
    wildcard_constraints:
        figure=either(outputs.figures(CONFIG)),
    conda:
        "../../envs/cpu.yaml"
    params:
        reporting=reporting_settings(),
    message:
        "drawing {wildcards.figure}"
    script:
        "../scripts/draw_figure.py"


rule table:
    input:
        unpack(lambda wildcards: tidy_tables(wildcards.table)),
    output:
        multiext(f"{RESULTS}/tables/{{table}}", ".csv", ".md", ".tex"),
    log:
        f"{RESULTS}/logs/{{table}}.log",
    wildcard_constraints:
        table=either([*outputs.tables(CONFIG), *(["table6"] if SEARCH_JOBS else [])]),
    conda:
        "../../envs/cpu.yaml"
    params:
        reporting=reporting_settings(),
    message:
        "writing {wildcards.table}"
    script:
        "../scripts/write_table.py"


rule test_claims:
    input:
        runs=tidy("runs"),
        interpretability=tidy("interpretability"),
    output:
        multiext(f"{RESULTS}/claims", ".csv", ".md"),
    log:
        f"{RESULTS}/logs/claims.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        reporting=reporting_settings(),
    message:
        "testing the paper's claims"
    script:
        "../scripts/test_claims.py"
