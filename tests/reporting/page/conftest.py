"""A page of results made by hand."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from promptscale.config.tasks import SUPER_GLUE, TASKS
from promptscale.reporting import claims, neighbour_lists, predictions
from promptscale.reporting.context import Context
from promptscale.reporting.page.build import Sources, write_page
from promptscale.reporting.runs_table import columns, write_runs
from promptscale.reporting.tables import table4
from promptscale.reporting.tables.table import write
from tests.reporting.conftest import SETTING, made, run_rows

SIZES = ("mini-small", "mini-xxl")
RUN = "prompt_tuning/{size}/boolq/20/{seed}"
HOSTILE = "</script><script>alert('run')</script>"  # must stay a text
OUTCOMES = {0: (9, 2, 1), 1: (3, 8, 1)}  # right, wrong, illegal by seed


@dataclasses.dataclass(frozen=True)
class Page:
    """A page that was written, and what it was made from."""

    path: Path
    context: Context
    sources: Sources

    @property
    def text(self) -> str:
        return self.path.read_text()


def make_page(folder: Path, with_predictions: bool = True, scripts: tuple[str, ...] = ()) -> Page:
    """Writes a page of two sizes, SuperGLUE's tasks and two seeds into the folder."""
    rows = []
    for place, size in enumerate(SIZES):
        for seed in (0, 1):
            for task in SUPER_GLUE:
                score = 50.0 + 10 * place + seed
                for length in (1, 20):
                    rows += run_rows("prompt_tuning", size, task, seed, score + length / 10, length)
                rows += run_rows("model_tuning", size, task, seed, score + 5)
    write_runs([pd.DataFrame(rows, columns=columns())], folder / "runs.csv")
    majority = pd.DataFrame({"task": list(TASKS), "score": 42.5})
    majority.to_csv(folder / "majority.csv", index=False)
    tables = {name: folder / f"{name}.csv" for name in ("runs", "majority")}
    if with_predictions:
        tables |= _predictions(folder) | {"neighbour_lists": _neighbours(folder)}
    context = Context.of(tables, SETTING, {})
    claim = claims.CLAIMS.assign(value=1.5, low=0.5, high=2.5, n=2, verdict=claims.HOLDS)
    claim.loc[3, ["value", "low", "high", "verdict"]] = [None, None, None, claims.ABSENT]
    claim.to_csv(folder / "claims.csv", index=False)
    write(table4.build(made()), folder / "table4")
    for name in ("domain_words", "table10"):
        (folder / f"{name}.md").write_text(f"**A table called {name}**\n")
    deviations = folder / "deviations.md"
    deviations.write_text("# Choices\n\nSee [claims](claims.md).\n\n1. **First.** <b>bold</b>\n")
    sources = Sources(
        figures=["figure1", "figure3a", "figure4"],
        tables=[folder / f"{name}.md" for name in ("domain_words", "table10", "table4")],
        claims=folder / "claims.csv",
        deviations=deviations,
        scripts=scripts,
        licences=["A licence"],
    )
    write_page(context, sources, folder / "index.html")
    return Page(folder / "index.html", context, sources)


def _predictions(folder: Path) -> dict[str, Path]:
    outcomes, examples, given = [], [], []
    for seed, counts in OUTCOMES.items():
        described = {"run": RUN.format(size="mini-xxl", seed=seed), "eval_task": "boolq"}
        counted = dict(zip(predictions.OUTCOMES, counts, strict=True))
        outcomes.append({**described, **counted, "origin": "generated", "label": "Miniature"})
        said = [("True", "right"), ("False", "wrong"), (HOSTILE, "illegal")]
        for place, (text, outcome) in enumerate(said if seed else said[:1] * 3):
            row = {"id": str(place), "inputs": f"Is <i>{place}</i> even?", "targets": "True"}
            examples.append({"eval_task": "boolq", **row})
            given.append({**described, **row, "prediction": text, "outcome": outcome})
    frames = {
        "outcomes": pd.DataFrame(outcomes),
        "examples": pd.DataFrame(examples).drop_duplicates(),
        "predictions": pd.DataFrame(given),
    }
    for name, frame in frames.items():
        predictions.write(name, frame, folder / f"{name}.csv")
    return {name: folder / f"{name}.csv" for name in frames}


def _neighbours(folder: Path) -> Path:
    described = {"size": "mini-xxl", "task": "boolq", "initialization": "class_label", "seed": 0}
    rows = [
        {
            **described, "prompt_length": length, "seed": seed, "row": row, "rank": rank,
            "piece": piece, "cosine": 0.9 - rank / 10, "label": "True" if row == 0 else "",
            "in_labels": piece == "▁True",
        }
        for length in (1, 20)
        for seed in (0, 1)
        for row in range(min(length, 2))
        for rank, piece in ((1, "▁True"), (2, "▁of"))
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "neighbours.csv", index=False)
    path = folder / "neighbour_lists.csv"
    neighbour_lists.combine([folder / "neighbours.csv"], 20, path)
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    """A page without the plotting library."""
    return make_page(tmp_path_factory.mktemp("page"))
