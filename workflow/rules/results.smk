"""From finished runs to one tidy table, figures and tables. Neither JAX nor TensorFlow here."""


rule collect_runs:
    input:
        expand(f"{RESULTS}/runs/{{job}}/metrics.csv", job=JOBS),
    output:
        f"{RESULTS}/runs.csv",
