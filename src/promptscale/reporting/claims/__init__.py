"""The paper's claims as tests on the results.

Every claim has a statistic that is positive where the claim is true: a difference between scores
(mean over tasks, points of 0 to 100), less the claim's threshold if it names any. The statistic has
a value per seed; its mean has a 95 % t-interval over the seeds. A claim about every size or every
choice has a part for each and is true only if all parts are; its interval is that of the lowest
part (`interval`). A claim *holds* if its interval lies above zero, and *does not hold* if it lies
below. Otherwise, and with fewer than two seeds, there are *not enough runs* to tell. "At least as
good as" means: not worse by `tests.MARGIN` points or more.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from promptscale.reporting.claims import tests
from promptscale.reporting.claims.evidence import AbsentError
from promptscale.reporting.context import Context
from promptscale.reporting.provenance import provenance
from promptscale.storage.atomic import atomic_write

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "not enough runs"
CLAIMS = pd.read_csv(Path(__file__).with_name("claims.csv"), dtype=str)


def evaluate(context: Context) -> pd.DataFrame:
    """Tests all claims on the given results.

    Returns:
      A row per claim: the columns of `CLAIMS`, `value`, `low` and `high` (nan where there are no
      runs), `n`, `verdict`, `origin` and `label`.
    Raises:
      ResultsError: results of several origins or labels.
    """
    source = provenance(context.runs)
    values = [_values(name, context) for name in CLAIMS["claim"]]
    intervals = pd.DataFrame(map(interval, values), columns=["value", "low", "high"])
    decided = [intervals["low"] > 0, intervals["high"] < 0]
    return CLAIMS.join(intervals).assign(
        n=list(map(len, values)),
        verdict=np.select(decided, [HOLDS, FAILS], UNDECIDED),
        **source._asdict(),
    )


def _values(claim: str, context: Context) -> pd.DataFrame:
    """The claim's statistic: a row per seed and a column per part; empty without its runs."""
    try:
        return pd.DataFrame(getattr(tests, claim)(context)).dropna()
    except AbsentError:
        return pd.DataFrame()


def interval(values: pd.DataFrame) -> tuple[float, float, float]:
    """The mean of a statistic and its 95 % t-interval over seeds, for the lowest of its parts.

    The part that is truly the lowest is unknown, so each end is the lowest of all parts' ends. The
    upper ends are taken at the level 0.025 / parts (Bonferroni), as the lowest of several upper
    ends is low by chance more often than a single end. `values` has a row per seed and a column
    per part.

    Returns:
      The mean, nan if there is none; the ends, nan for fewer than two seeds.
    """
    if values.empty:
        return np.nan, np.nan, np.nan
    means = values.mean()
    if len(values) < 2:
        return float(means.min()), np.nan, np.nan
    errors = values.std(ddof=1) / np.sqrt(len(values))
    below, above = stats.t.ppf([0.975, 1 - 0.025 / values.shape[1]], len(values) - 1)
    low, high = means - below * errors, means + above * errors
    return float(means.min()), float(low.min()), float(high.min())


def write_claims(context: Context, stem: Path) -> None:
    """Tests the claims and writes STEM.csv and STEM.md.

    Raises:
      ResultsError: the results are not well-formed, or of several origins or labels.
    """
    table = evaluate(context)
    with atomic_write(stem.with_suffix(".csv")) as partial:
        table.to_csv(partial, index=False, float_format="%.4f")
    with atomic_write(stem.with_suffix(".md")) as partial:
        partial.write_text(markdown(table, context.caption(context.runs)), encoding="utf-8")


_RULE = (
    "A statistic is positive where its claim is true; its mean over seeds has a 95 % t-interval. "
    "*Holds*: the interval is above zero; *does not hold*: below; *not enough runs*: the runs "
    "cannot tell."
)


def markdown(claims: pd.DataFrame, caption: str) -> str:
    """The claims as a table, under the caption of the results and the rule of the verdicts."""
    held = int((claims["verdict"] == HOLDS).sum())
    lines = [
        "# The paper's claims on these results",
        "",
        f"**{caption}.**",
        "",
        f"{held} of {len(claims)} hold. {_RULE}",
        "",
        "| Claim | Section | Statistic | Mean [interval] | n | Verdict |",
        "|---|---|---|---:|---:|---|",
    ]
    for row in claims.to_dict("records"):
        value = "–" if pd.isna(row["value"]) else f"{row['value']:.3g}"
        if not pd.isna(row["low"]) and row["low"] < row["high"]:
            value += f" [{row['low']:.3g}, {row['high']:.3g}]"
        shown = [row[name] for name in ("statement", "section", "statistic")]
        cells = [*shown, value, str(row["n"]), f"**{row['verdict']}**"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
