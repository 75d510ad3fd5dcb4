"""From tidy tables to figures, tables and claims, without JAX and TensorFlow.

A job draws all figures, and a job writes all tables: the imports take longer than the drawing.
"""


rule figures:
    input:
        runs=table_path("runs"),
        majority=table_path("majority"),
    output:
        [reported_figure(name) for name in FIGURE_NAMES],
    log:
        f"{RESULTS}/logs/figures.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        events=event_file("figures"),
    params:
        reporting=REPORT,
    message:
        "drawing the figures"
    script:
        "../scripts/draw_figures.py"


rule tables:
    input:
        **table_inputs(TABLE_NAMES),
    output:
        [reported_table(name) for name in TABLE_NAMES],
    log:
        f"{RESULTS}/logs/tables.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        events=event_file("tables"),
    params:
        reporting=REPORT,
    message:
        "writing the tables"
    script:
        "../scripts/write_tables.py"


rule table6:
    input:
        trials=table_path("search/trials"),
    output:
        reported_table("table6"),
    log:
        f"{RESULTS}/logs/table6.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        reporting=REPORT,
    message:
        "writing the table of the search"
    script:
        "../scripts/write_tables.py"


rule published_prompts_table:
    input:
        published_prompts=table_path("published_prompts"),
    output:
        reported_table("published_prompts"),
    log:
        f"{RESULTS}/logs/published_prompts_table.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        reporting=REPORT,
    message:
        "writing the table of the published prompts"
    script:
        "../scripts/write_tables.py"


rule claims:
    input:
        runs=table_path("runs"),
        interpretability=table_path("interpretability"),
        majority=table_path("majority"),
    output:
        reported(f"{RESULTS}/claims.csv", "Claims", claims="verdicts"),
        f"{RESULTS}/claims.md",
    log:
        f"{RESULTS}/logs/claims.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        events=event_file("claims"),
    params:
        reporting=REPORT,
    message:
        "evaluating the paper's claims"
    script:
        "../scripts/evaluate_claims.py"


rule page:
    input:
        **PAGE_TABLES,
        runs=table_path("runs"),
        majority=table_path("majority"),
        claims=f"{RESULTS}/claims.csv",
        tables=[f"{RESULTS}/tables/{name}.md" for name in TABLE_NAMES],
        deviations=input_file(f"{workflow.basedir}/docs/deviations.md"),
        manifest=f"{PUBLISHED}/manifest.json" if PUBLISHED else [],
    output:
        reported(f"{RESULTS}/index.html", "Page", page="all results"),
    log:
        f"{RESULTS}/logs/page.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        reporting=REPORT,
        figures=FIGURE_NAMES,
    message:
        "writing the page of all results"
    script:
        "../scripts/write_page.py"
