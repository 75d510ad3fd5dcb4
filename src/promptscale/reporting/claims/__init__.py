"""The paper's claims as tests on the results.

Every claim has a statistic that is positive where the claim is true: a difference between scores
(mean over tasks, points of 0 to 100), less the claim's threshold if it names any. The statistic has
a value per seed; its mean has a 95 % t-interval over the seeds. A claim about every size or every
choice has a part for each and is true only if all parts are; its interval is that of the lowest
part (`interval`). A claim *holds* if its interval lies above zero, and *does not hold* if it lies
below. Otherwise, and with fewer than two seeds, there are *not enough runs* to tell. "At least as
good as" means: not worse by `tests.MARGIN` points or more.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from promptscale.config.axes import Row
from promptscale.config.settings import PromptTuning
from promptscale.config.sizes import PAPER_SIZES, SIZES, ModelConfig, parameter_counts
from promptscale.reporting.claims import tests
from promptscale.reporting.claims.evidence import AbsentError, Evidence
from promptscale.reporting.context import Context
from promptscale.reporting.provenance import caption, provenance
from promptscale.storage.atomic import atomic_write

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "not enough runs"
COLUMNS = (
    "claim", "section", "statement", "statistic", "value", "low", "high", "n", "verdict", "origin",
    "label",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim: its section of the paper, its statement, and the statistic that tests it."""

    name: str
    section: str
    statement: str
    statistic: str
    test: Callable[[Evidence], tests.Values]


CLAIMS = (
    Claim("gap_closes", "3.1", "The gap to model tuning closes with size",
          "gap at the smallest size less gap at the largest", tests.gap_closes),
    Claim("beats_prompt_design", "3.1", "Prompt tuning beats prompt design",
          "prompt tuning less prompt design, lowest over sizes (paper: T5 Large less GPT-3 "
          "175B)", tests.beats_design),
    Claim("one_token_short", "3.2", "Below the largest size one prompt token is not enough",
          "default length less one token, lowest over those sizes", tests.single_token_short),
    Claim("one_token_enough", "3.2", "At the largest size one prompt token does well",
          "one token less 90 % of the default length's score", tests.single_token_enough),
    Claim("beyond_twenty", "3.2", "Beyond 20 prompt tokens gains are marginal",
          "a quarter of the gain from the shortest length to 20 less the gain beyond, mean over "
          "sizes, lowest over longer lengths", tests.beyond_twenty),
    Claim("label_order", "3.2", "Class labels start prompts at least as well as sampled "
          "vocabulary, and that as well as uniform values",
          f"difference, mean over sizes, plus {tests.MARGIN:g}; the lower of the two",
          tests.label_order),
    Claim("initialization_vanishes", "3.2", "The differences between initialisations vanish at "
          "the largest size", "spread over initialisations below the largest size (mean) less "
          "the spread at the largest", tests.initialization_vanishes),
    Claim("adaptation_beats_span_corruption", "3.2", "LM adaptation beats span corruption",
          "difference, mean over sizes", tests.adaptation_beats("span_corruption")),
    Claim("adaptation_beats_sentinel", "3.2", "LM adaptation beats span corruption with a sentinel",
          "difference, mean over sizes", tests.adaptation_beats("span_corruption_sentinel")),
    Claim("longer_adaptation", "3.2", "Longer LM adaptation is better",
          "rank correlation of steps and score, mean over sizes", tests.longer_is_better),
    Claim("largest_is_robust", "3.2", "The largest size is the most robust to each choice",
          "spread over a choice's settings at another size less that at the largest, lowest "
          "over choices and sizes", tests.most_robust),
    Claim("domain_shift", "5", "Under domain shift prompts do better than tuned models on most "
          "sets", "share of shifted sets on which prompts do better, less one half",
          tests.shift_favours_prompts),
    Claim("ensemble_beats_mean", "6", "An ensemble of prompts beats the mean of its prompts",
          "ensemble less single prompt, mean over tasks; n counts prompts",
          tests.ensemble_beats_mean),
    Claim("ensemble_beats_best", "6", "An ensemble of prompts does at least as well as the best "
          "of them", f"ensemble less best prompt plus {tests.MARGIN:g}; n counts tasks",
          tests.ensemble_beats_best),
    Claim("labels_persist", "7", "Class labels persist as nearest neighbours of the prompt tokens "
          "that they started", "percent of label tokens that keep their label less the same for "
          "uniform initialisation", tests.labels_persist),
)  # fmt: skip


def evaluate(
    runs: pd.DataFrame,
    neighbours: pd.DataFrame | None,
    default: Row,
    architectures: Mapping[str, ModelConfig] = SIZES,
) -> pd.DataFrame:
    """Tests all claims on the given results.

    Args:
      runs: rows of `runs_table.read_runs`.
      neighbours: rows of `reporting.neighbours.read`, if prompts were interpreted.
      default: the description of the default setting of prompt tuning (`axes.describe`).
      architectures: the architecture of every size.
    Returns:
      A row per claim with `COLUMNS`; value, low and high are nan where there are no runs.
    Raises:
      ResultsError: results of several origins or labels.
    """
    source = provenance(runs)._asdict()
    evidence = Evidence(runs, neighbours, default, architectures)
    rows = [*(_tested(claim, evidence) for claim in CLAIMS), _parameters()]
    return pd.DataFrame([row | source for row in rows], columns=list(COLUMNS))


def _tested(claim: Claim, evidence: Evidence) -> dict:
    try:
        values = pd.DataFrame(claim.test(evidence)).dropna()
    except AbsentError:
        values = pd.DataFrame()
    value, low, high = interval(values)
    return {
        "claim": claim.name,
        "section": claim.section,
        "statement": claim.statement,
        "statistic": claim.statistic,
        "value": value,
        "low": low,
        "high": high,
        "n": len(values),
        "verdict": verdict(low, high),
    }


def interval(values: pd.DataFrame) -> tuple[float, float, float]:
    """The mean of a statistic and its 95 % t-interval over seeds, for the lowest of its parts.

    The part that is truly the lowest is unknown, so each end is the lowest of all parts' ends. The
    upper ends are taken at the level 0.025 / parts (Bonferroni), as the lowest of several upper
    ends is low by chance more often than a single end.

    Args:
      values: a row per seed and a column per part.
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


def verdict(low: float, high: float) -> str:
    """The verdict on a claim whose statistic has this interval."""
    if low > 0:
        return HOLDS
    return FAILS if high < 0 else UNDECIDED


def _parameters() -> dict:
    """The claim that needs no runs: exact, at the paper's sizes and default length."""
    above = [size for size, model in PAPER_SIZES.items() if model.num_parameters > 1e9]
    length = PromptTuning.model_fields["prompt_length"].default
    below = 0.01 - max(parameter_counts(size, length)["percent"] for size in above)
    return {
        "claim": "few_parameters",
        "section": "4",
        "statement": "Above a billion parameters a prompt is less than 0.01 % of the model",
        "statistic": "0.01 less the percentage, at the size where it is largest (exact; n counts "
        "sizes)",
        "value": below,
        "low": below,
        "high": below,
        "n": len(above),
        "verdict": verdict(below, below),
    }


def write_claims(context: Context, stem: Path) -> None:
    """Tests the claims and writes STEM.csv and STEM.md.

    Raises:
      ResultsError: the results are not well-formed, or of several origins or labels.
    """
    table = evaluate(context.runs, context.neighbours, context.default, context.architectures)
    with atomic_write(stem.with_suffix(".csv")) as partial:
        table.to_csv(partial, index=False, float_format="%.4f")
    with atomic_write(stem.with_suffix(".md")) as partial:
        text = markdown(table, caption(context.runs, context.architectures))
        partial.write_text(text, encoding="utf-8")


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
        cells = (row["statement"], row["section"], row["statistic"], value, row["n"],
                 f"**{row['verdict']}**")  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"
