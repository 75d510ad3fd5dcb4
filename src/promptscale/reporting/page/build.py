"""Builds the page from the tidy tables, the rendered tables and the verdicts.

The page holds its data, its styles and its scripts, so it asks for nothing from a network or disk.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jinja2

from promptscale.reporting import predictions, software
from promptscale.reporting.bundle import verify
from promptscale.reporting.context import Context
from promptscale.reporting.figures.style import short_count
from promptscale.reporting.page import answers, charts, curves, summary
from promptscale.reporting.tables.registry import BUILDERS
from promptscale.storage.atomic import atomic_write


@dataclasses.dataclass(frozen=True)
class Sources:
    """What the page is made from besides the tidy tables of the context.

    Attributes:
      figures: the names of the figures that the results allow.
      tables: the rendered tables, as Markdown.
      claims: the table of the verdicts, `claims.csv`.
      deviations: `docs/deviations.md`.
      scripts: the sources of the plotting library, in the order in which they are run.
      licences: the texts of its licences.
      published: the folder of the published results that are shown; None where results were made.
    """

    figures: Sequence[str]
    tables: Sequence[Path]
    claims: Path
    deviations: Path
    scripts: Sequence[str]
    licences: Sequence[str]
    published: Path | None = None


def write_page(context: Context, sources: Sources, path: Path) -> None:
    """Writes the page.

    Raises:
      ResultsError: a table is missing or not well-formed, or the results lack runs of a figure.
    """
    shown = charts.charts(context, sources.figures)
    order = list(BUILDERS)  # the scores, tables 1 to 16, then the others
    tables = sorted(sources.tables, key=lambda table: order.index(table.stem))
    documents = [summary.document(table) for table in tables]
    anchors = [*(chart.name for chart in shown), *(table.name for table in documents), "neighbours"]
    data = {
        "charts": {chart.name: chart.spec for chart in shown},
        "curve_chart": curves.chart(),
        "curves": curves.learning_curves(context),
        "answers": answers.answers(context),
        "outcomes": predictions.OUTCOMES,
        "neighbours": answers.neighbours(context),
    }
    manifest = verify(sources.published) if sources.published else None
    page = _environment().get_template("page.html.jinja").render(
        caption=context.caption(context.runs),
        runs=summary.runs(context),
        charts=shown,
        claims=summary.claims(sources.claims, anchors),
        tables=documents,
        costs=summary.costs(context),
        deviations=summary.document(sources.deviations),
        published=sources.published,
        revision=manifest.revision if manifest else software.revision(),
        versions=manifest.versions if manifest else software.versions(),
        data=data,
        licences=sources.licences,
        # The HTML parser would end the script at such a tag.
        scripts=[script.replace("</script", r"<\/script") for script in sources.scripts],
    )  # fmt: skip
    with atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _environment() -> jinja2.Environment:
    """The templates of this package, which escape everything that is not marked as safe."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["short"] = short_count
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    return environment
