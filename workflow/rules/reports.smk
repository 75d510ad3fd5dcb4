"""The tables, figures and the page: what they are made of, and their files."""


def table_path(name):
    """A tidy table, of this configuration's runs or of the published results."""
    return bundle.table(PUBLISHED, name) if PUBLISHED else f"{RESULTS}/{name}.csv"


# Tables that are made of a tidy table of the same name.
DIRECT_TABLES = ("domain_words", "error_modes", "interpretability", "serving")
# Published results may lack a table that was not counted when they were packed.
TABLE_NAMES = [
    name
    for name in outputs.tables(CONFIG)
    if not (PUBLISHED and name in DIRECT_TABLES) or Path(table_path(name)).exists()
]


def rendered_figure(name):
    """A figure as PDF, PNG and its data."""
    return multiext(f"{FIGURES}/{name}", ".pdf", ".png", ".csv")


def rendered_table(name):
    """A table as CSV, Markdown and LaTeX."""
    return multiext(f"{RESULTS}/tables/{name}", ".csv", ".md", ".tex")


def table_inputs(names):
    """The tidy tables that rendered tables are made of, by name."""
    further = [name for name in DIRECT_TABLES if name in names]
    return {
        name: table_path(name) for name in ["runs", "datasets", "majority", *further]
    }


# What figures, tables and claims need to know besides the tables of results.
REPORT = {
    "default": describe(CONFIG.default_setting),
    "paper_curves": CONFIG.paper_curves,
    "architectures": {
        name: vars(architecture)
        for name, architecture in CONFIG.architectures.items()
        if name in CONFIG.sizes
    },
}
if CONFIG.convergence:
    REPORT["convergence_task"] = CONFIG.convergence.task


# Published results may lack what was not collected when they were packed.
PAGE_TABLES = {
    name: table_path(name)
    for name in ("outcomes", "examples", "predictions", "neighbour_lists")
    if not PUBLISHED or Path(table_path(name)).exists()
}


def reported(path, category, **labels):
    """A file that `snakemake --report` shows in this category, with its caption."""
    caption = f"../report/{category.lower()}.rst"
    return report(path, caption=caption, category=category, labels=labels)


def reported_figure(name):
    """The files of a figure; the report shows the PNG and the numbers."""
    pdf, png, numbers = rendered_figure(name)
    return [
        pdf,
        reported(png, "Figures", figure=name, form="image"),
        reported(numbers, "Figures", figure=name, form="numbers"),
    ]


def reported_table(name):
    """The files of a table; the report shows the CSV."""
    numbers, markdown, latex = rendered_table(name)
    return [reported(numbers, "Tables", table=name), markdown, latex]
