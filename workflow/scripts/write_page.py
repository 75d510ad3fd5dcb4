"""Writes the page of all results."""

from pathlib import Path
from typing import TYPE_CHECKING

from snakemake.assets import Assets

from promptscale.workflow_script import script_setup

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

# The page embeds the copy of Vega-Lite that Snakemake's own reports are drawn with.
LIBRARY = ("vega", "vega-lite", "vega-embed")

with script_setup(snakemake):
    from promptscale.reporting.context import Context
    from promptscale.reporting.page.build import Sources, write_page

    paths = {name: path for name, path in snakemake.input.items() if path}
    published = paths.pop("manifest", None)
    sources = Sources(
        figures=snakemake.params.figures,
        tables=[Path(path) for path in paths.pop("tables")],
        claims=Path(paths.pop("claims")),
        deviations=Path(paths.pop("deviations")),
        scripts=[Assets.get_content(f"{name}/{name}.js") for name in LIBRARY],
        licences=[Assets.get_content(f"{name}/LICENSE") for name in LIBRARY],
        published=Path(published).parent if published else None,
    )
    context = Context.of(paths, **snakemake.params.reporting)
    write_page(context, sources, Path(snakemake.output[0]))
