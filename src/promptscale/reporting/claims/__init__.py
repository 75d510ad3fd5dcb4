"""The paper's claims as tests on the results.

Every claim has a statistic that is positive where the claim is true: a combination of mean scores
(points of 0 to 100), less the claim's threshold if it names any (`statistics.thresholds`). A claim
of several parts, such as a claim about every size, or that two scores are equal within a margin
(not lower and not higher: two one-sided tests), is true only if all parts are. The statistic has a
95 % interval from the variance over seeds (`intervals`, `variances`). docs/claims.md says how often
results like the paper's pass.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from promptscale.reporting.claims.evidence import AbsentError, Statistic
from promptscale.reporting.claims.intervals import Interval, lowest
from promptscale.reporting.claims.statistics import statistic_of
from promptscale.reporting.context import Context
from promptscale.reporting.provenance import provenance
from promptscale.storage.atomic import atomic_write

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
UNTESTABLE, ABSENT = "cannot be tested here", "not run"
CLAIMS = pd.read_csv(Path(__file__).with_name("claims.csv"), dtype=str)
_UNKNOWN = Interval(np.nan, np.nan, np.nan)


def evaluate(context: Context) -> pd.DataFrame:
    """Tests all claims on the given results.

    Returns:
      A row per claim: the columns of `CLAIMS`, `value`, `low` and `high` (nan where they are
      unknown), `n` (the fewest seeds of a mean; 0 for exact numbers), `verdict`, `origin` and
      `label`.
    Raises:
      ResultsError: results of several origins or labels.
    """
    source = provenance(context.runs)
    rows = [_row(name, context) for name in CLAIMS["claim"]]
    columns = [*Interval._fields, "n", "verdict"]
    return CLAIMS.join(pd.DataFrame(rows, columns=columns)).assign(**source._asdict())


def _row(claim: str, context: Context) -> tuple[float, float, float, int, str]:
    try:
        statistic = statistic_of(claim)(context)
    except AbsentError:
        return (*_UNKNOWN, 0, ABSENT)
    used = {cell for part in statistic.parts for cell, weight in part.weights.items() if weight}
    n = min((len(statistic.samples[cell]) for cell in used), default=0)
    interval, verdict = judged(statistic)
    return (*interval, n, verdict)


def judged(statistic: Statistic) -> tuple[Interval, str]:
    """The interval of a statistic, and the verdict by the rule that all claims share."""
    parts = statistic.parts
    interval = lowest(parts, statistic.samples) if parts else _UNKNOWN
    if not statistic.testable:
        return interval, UNTESTABLE
    if interval.low > 0:
        return interval, HOLDS
    return interval, FAILS if interval.high < 0 else UNDECIDED


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
    "A statistic is positive where its claim is true. Its 95 % interval is from the variance over "
    "seeds. *Holds*: the interval is above zero. *Does not hold*: it is below zero. *Undecided*: "
    "it has both signs. *Cannot be tested here*: the scores that are compared are not above those "
    "of the best constant answer, or these models have no counterpart of the paper's. *Not run*: "
    "the results lack the runs. The column n is the fewest runs (seeds) of a mean; there is a "
    "single ensemble, and exact numbers need no runs."
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
        "| Claim | Section | Statistic | Value [interval] | n | Verdict |",
        "|---|---|---|---:|---:|---|",
    ]
    for row in claims.to_dict("records"):
        value = "–" if pd.isna(row["value"]) else f"{row['value']:.3g}"
        if not pd.isna(row["low"]) and row["low"] < row["high"]:
            value += f" [{row['low']:.3g}, {row['high']:.3g}]"
        shown = [row[name] for name in ("statement", "section", "statistic")]
        cells = [*shown, value, str(row["n"] or "–"), f"**{row['verdict']}**"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
