"""The paper's claims as tests on the results.

Every claim is a statistic that is positive where the claim is true: a difference between scores
(mean over tasks, points of 0 to 100), less a threshold where the claim names one. It is computed
once for each seed; its mean has a 95 % t-interval over the seeds. One rule for all: a claim
*holds* if the whole interval is above zero, it *does not hold* if the whole interval is below, and
otherwise, or with fewer than two seeds, there are *not enough runs* to tell. "At least as good as"
means: not worse by `MARGIN` points or more.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from promptscale import paper, results
from promptscale.config.sizes import PAPER_SIZES, SIZES, ModelConfig, parameter_counts
from promptscale.config.tasks import SUPER_GLUE
from promptscale.errors import ResultsError
from promptscale.figures import figure3
from promptscale.figures.scores import by_size
from promptscale.files import replacing

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "not enough runs"
MARGIN = 1.0  # points
COLUMNS = (
    "claim", "section", "statement", "statistic", "value", "low", "high", "n", "verdict", "world",
)  # fmt: skip

Seeds = pd.Series  # a statistic by seed


class _AbsentError(Exception):
    """The runs of a claim are not there."""


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The results as claims see them: scores by curve, size and seed, sizes in ascending order."""

    runs: pd.DataFrame
    interpretability: pd.DataFrame | None
    default: results.PromptSetting
    architectures: Mapping[str, ModelConfig]

    @property
    def scores(self) -> pd.DataFrame:
        """The selected score of every run and evaluated task."""
        return results.selected_scores(self.runs)

    def by_size(self, rows: pd.DataFrame, curve: str) -> pd.DataFrame:
        """A table of mean scores: index (curve, seed), columns the sizes, smallest first."""
        if rows.empty:
            raise _AbsentError
        try:
            means = by_size(rows, curve, None, self.architectures)
        except ResultsError:  # a task is missing somewhere: not comparable
            raise _AbsentError from None
        order = list(dict.fromkeys(means.sort_values("parameters")["size"]))
        return means.pivot_table(index=[curve, "seed"], columns="size", values="score")[order]

    def methods(self, *names: str) -> list[pd.DataFrame]:
        """Index seed, columns sizes: one table per method, prompt tuning in the default setting."""
        scores = self.scores
        default = results.has_setting(scores, self.default)
        rows = scores[(scores["method"] != "prompt_tuning") | default]
        table = self.by_size(rows[rows["method"].isin(names)], "method")
        return _picked(table, names)

    def panel(self, letter: str) -> pd.DataFrame:
        """Index (curve, seed), columns sizes: a panel of Figure 3."""
        rows = figure3.shown(self.scores, letter, self.default)
        if rows["curve"].nunique() < 2:
            raise _AbsentError
        table = self.by_size(rows, "curve").dropna(axis=1)
        if table.shape[1] < 2:
            raise _AbsentError
        return table


def _picked(table: pd.DataFrame, names: Sequence[str]) -> list[pd.DataFrame]:
    if not set(names) <= set(table.index.get_level_values(0)):
        raise _AbsentError
    found = [pd.DataFrame(table.loc[name]) for name in names]
    sizes = [size for size in table if all(part[size].notna().all() for part in found)]
    if len(sizes) < 2:
        raise _AbsentError
    return [part[sizes] for part in found]


def _gap_closes(evidence: Evidence) -> Seeds:
    prompts, model = evidence.methods("prompt_tuning", "model_tuning")
    gap = model - prompts
    return gap.iloc[:, 0] - gap.iloc[:, -1]


def _beats_design(evidence: Evidence) -> Seeds:
    if results.one_world(evidence.runs) == "paper":
        scores = evidence.scores
        rows = scores[results.has_setting(scores, evidence.default)]
        large = pd.DataFrame(evidence.by_size(rows, "method").loc["prompt_tuning"])
        if "large" not in large:
            raise _AbsentError
        return large["large"] - paper.gpt3_scores(SUPER_GLUE)["score"].iloc[-1]
    prompts, design = evidence.methods("prompt_tuning", "prompt_design")
    return (prompts - design).min(axis=1)


def _lengths(evidence: Evidence) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Scores with one token, with the default's tokens, and of all lengths."""
    table = evidence.panel("a")
    one, default = _picked(table, ["1", str(evidence.default.prompt_length)])
    return one, default, table


def _one_token_short(evidence: Evidence) -> Seeds:
    one, default, _ = _lengths(evidence)
    return (default - one).iloc[:, :-1].min(axis=1)


def _one_token_enough(evidence: Evidence) -> Seeds:
    one, default, _ = _lengths(evidence)
    return (one - 0.9 * default).iloc[:, -1]


def _beyond_twenty(evidence: Evidence) -> Seeds:
    _, _, table = _lengths(evidence)
    lengths = sorted({int(curve) for curve in table.index.get_level_values(0)})
    longer = [length for length in lengths if length > 20]
    if 20 not in lengths or not longer:
        raise _AbsentError
    means = {length: pd.DataFrame(table.loc[str(length)]).mean(axis=1) for length in lengths}
    gain = means[20] - means[lengths[0]]
    return 0.25 * gain - (pd.DataFrame([means[n] for n in longer]).max() - means[20])


def _initializations(evidence: Evidence) -> list[pd.DataFrame]:
    return _picked(evidence.panel("b"), ["class_label", "sampled_vocab", "random_uniform"])


def _label_order(evidence: Evidence) -> Seeds:
    labels, vocabulary, uniform = _initializations(evidence)
    steps = [(labels - vocabulary).mean(axis=1), (vocabulary - uniform).mean(axis=1)]
    return pd.DataFrame(steps).min() + MARGIN


def _initialization_vanishes(evidence: Evidence) -> Seeds:
    parts = np.stack([part.to_numpy() for part in _initializations(evidence)])
    spread = pd.DataFrame(np.ptp(parts, axis=0), index=_initializations(evidence)[0].index)
    return spread.iloc[:, :-1].mean(axis=1) - spread.iloc[:, -1]


def _adaptation_beats(name: str) -> Callable[[Evidence], Seeds]:
    def statistic(evidence: Evidence) -> Seeds:
        default = figure3.default_curve("c", evidence.default)
        adapted, other = _picked(evidence.panel("c"), [default, name])
        return (adapted - other).mean(axis=1)

    return statistic


def _longer_is_better(evidence: Evidence) -> Seeds:
    table = evidence.panel("d")
    steps = table.index.get_level_values(0).astype(int)
    by_seed = table.groupby(table.index.get_level_values("seed"))
    return by_seed.apply(
        lambda part: np.mean([
            stats.spearmanr(steps[table.index.get_indexer(part.index)], part[size]).statistic
            for size in part
        ])
    )  # fmt: skip


def _most_robust(evidence: Evidence) -> Seeds:
    margins = []
    for letter in figure3.PANELS:
        table = evidence.panel(letter)
        spread = table.groupby("seed").max() - table.groupby("seed").min()
        margins.append(spread.iloc[:, :-1].min(axis=1) - spread.iloc[:, -1])
    return pd.DataFrame(margins).min()


def _shift_favours_prompts(evidence: Evidence) -> Seeds:
    scores = evidence.scores
    prompted = results.has_setting(scores, evidence.default)
    rows = scores[(scores["method"] == "model_tuning") | prompted]
    rows = rows[(rows["task"] != rows["eval_task"])]
    table = rows.pivot_table(index=["seed", "size", "task", "eval_task"], columns="method",
                             values="score")  # fmt: skip
    if not {"prompt_tuning", "model_tuning"} <= set(table):
        raise _AbsentError
    better = (table["prompt_tuning"] > table["model_tuning"])[table.notna().all(axis=1)]
    return better.groupby("seed").mean() - 0.5


def _ensemble(evidence: Evidence) -> tuple[pd.DataFrame, pd.Series]:
    """Scores of the single prompts (index seed, columns tasks) and of the ensemble by task."""
    scores = evidence.scores
    voted = scores[scores["method"] == "prompt_ensemble"]
    if voted.empty:
        raise _AbsentError
    size = results.largest(voted["size"], evidence.architectures)
    single = scores[results.has_setting(scores, evidence.default) & (scores["size"] == size)]
    together = voted[voted["size"] == size].set_index("eval_task")["score"]
    table = single[single["task"] == single["eval_task"]].pivot_table(
        index="seed", columns="eval_task", values="score"
    )
    tasks = [task for task in together.index if task in table and table[task].notna().all()]
    if not tasks:
        raise _AbsentError
    return table[tasks], together[tasks]


def _ensemble_beats_mean(evidence: Evidence) -> Seeds:
    single, together = _ensemble(evidence)
    return together.mean() - single.mean(axis=1)


def _ensemble_beats_best(evidence: Evidence) -> Seeds:
    single, together = _ensemble(evidence)
    return together - single.max() + MARGIN


def _labels_persist(evidence: Evidence) -> Seeds:
    frame = evidence.interpretability
    if frame is None:
        raise _AbsentError
    share = frame.assign(share=100 * frame["labels_persisting"] / frame["labels"])
    table = share.pivot_table(index="seed", columns="initialization", values="share")
    if not {"class_label", "random_uniform"} <= set(table):
        raise _AbsentError
    return (table["class_label"] - table["random_uniform"]).dropna()


@dataclasses.dataclass(frozen=True)
class Claim:
    """One claim: where the paper makes it, what it says, and the statistic that tests it."""

    name: str
    section: str
    statement: str
    statistic: str
    test: Callable[[Evidence], Seeds]


CLAIMS = (
    Claim("gap_closes", "3.1", "The gap to model tuning closes with size",
          "gap at the smallest size less gap at the largest", _gap_closes),
    Claim("beats_prompt_design", "3.1", "Prompt tuning beats prompt design",
          "prompt tuning less prompt design, at the size where it is smallest (paper: T5 Large "
          "less GPT-3 175B)", _beats_design),
    Claim("one_token_short", "3.2", "Below the largest size one prompt token is not enough",
          "default length less one token, at the size where it is smallest", _one_token_short),
    Claim("one_token_enough", "3.2", "At the largest size one prompt token does well",
          "one token less 90 % of the default length's score", _one_token_enough),
    Claim("beyond_twenty", "3.2", "Beyond 20 prompt tokens gains are marginal",
          "a quarter of the gain from the shortest length to 20 less the gain beyond, mean over "
          "sizes", _beyond_twenty),
    Claim("label_order", "3.2", "Class labels start prompts at least as well as sampled "
          "vocabulary, and that as well as uniform values",
          f"the smaller of the two differences, mean over sizes, plus {MARGIN:g}", _label_order),
    Claim("initialization_vanishes", "3.2", "The differences between initialisations vanish at "
          "the largest size", "spread over initialisations below the largest size (mean) less "
          "the spread at the largest", _initialization_vanishes),
    Claim("adaptation_beats_span_corruption", "3.2", "LM adaptation beats span corruption",
          "difference, mean over sizes", _adaptation_beats("span_corruption")),
    Claim("adaptation_beats_sentinel", "3.2", "LM adaptation beats span corruption with a sentinel",
          "difference, mean over sizes", _adaptation_beats("span_corruption_sentinel")),
    Claim("longer_adaptation", "3.2", "Longer LM adaptation is better",
          "rank correlation of steps and score, mean over sizes", _longer_is_better),
    Claim("largest_is_robust", "3.2", "The largest size is the most robust to each choice",
          "smallest spread over a choice's settings at any other size less that at the largest, "
          "for the choice where it is smallest", _most_robust),
    Claim("domain_shift", "5", "Under domain shift prompts do better than tuned models on most "
          "sets", "share of shifted sets on which prompts do better, less one half",
          _shift_favours_prompts),
    Claim("ensemble_beats_mean", "6", "An ensemble of prompts beats the mean of its prompts",
          "ensemble less single prompt, mean over tasks; n counts prompts", _ensemble_beats_mean),
    Claim("ensemble_beats_best", "6", "An ensemble of prompts does at least as well as the best "
          "of them", f"ensemble less best prompt plus {MARGIN:g}; n counts tasks",
          _ensemble_beats_best),
    Claim("labels_persist", "7", "Class labels persist as nearest neighbours of the prompt tokens "
          "that they started", "percent of label tokens that keep their label less the same for "
          "uniform initialisation", _labels_persist),
)  # fmt: skip


def evaluate(
    runs: pd.DataFrame,
    interpretability: pd.DataFrame | None,
    default: results.PromptSetting,
    architectures: Mapping[str, ModelConfig] = SIZES,
) -> pd.DataFrame:
    """All claims on the given results.

    Args:
      runs: rows of `results.read_runs`.
      interpretability: rows of `interpretability.read`, if prompts were interpreted.
      default: the default setting of prompt tuning.
      architectures: the architecture of every size.
    Returns:
      One row per claim with `COLUMNS`; value, low and high are nan where there are no runs.
    Raises:
      ResultsError: results of several worlds.
    """
    world = results.one_world(runs)
    evidence = Evidence(runs, interpretability, default, architectures)
    rows = [{**_tested(claim, evidence), "world": world} for claim in CLAIMS]
    return pd.DataFrame([*rows, {**_parameters(), "world": world}], columns=list(COLUMNS))


def _tested(claim: Claim, evidence: Evidence) -> dict:
    try:
        seeds = claim.test(evidence).dropna()
    except _AbsentError:
        seeds = pd.Series(dtype=float)
    low, high = interval(seeds)
    described = {
        "claim": claim.name,
        "section": claim.section,
        "statement": claim.statement,
        "statistic": claim.statistic,
    }
    value = float(seeds.mean()) if len(seeds) else np.nan
    found = {"value": value, "low": low, "high": high, "n": len(seeds)}
    return {**described, **found, "verdict": verdict(low, high)}


def interval(seeds: pd.Series) -> tuple[float, float]:
    """The 95 % t-interval of the mean; nan for fewer than two values."""
    if len(seeds) < 2:
        return np.nan, np.nan
    error = float(seeds.std(ddof=1)) / np.sqrt(len(seeds))
    reach = float(stats.t.ppf(0.975, len(seeds) - 1)) * error
    return float(seeds.mean()) - reach, float(seeds.mean()) + reach


def verdict(low: float, high: float) -> str:
    """What an interval of a statistic says of its claim."""
    if low > 0:
        return HOLDS
    return FAILS if high < 0 else UNDECIDED


def _parameters() -> dict:
    """The one claim that needs no runs: exact, at the paper's sizes and default length."""
    above = [size for size, model in PAPER_SIZES.items() if model.num_parameters > 1e9]
    percent = max(parameter_counts(size, 100)["percent"] for size in above)
    return {
        "claim": "few_parameters",
        "section": "3.3",
        "statement": "Above a billion parameters a prompt is less than 0.01 % of the model",
        "statistic": "0.01 less the percentage, at the size where it is largest (exact)",
        "value": 0.01 - percent,
        "low": 0.01 - percent,
        "high": 0.01 - percent,
        "n": len(above),
        "verdict": verdict(0.01 - percent, 0.01 - percent),
    }


def write(claims: pd.DataFrame, sizes: int, stem: Path) -> None:
    """Writes STEM.csv and STEM.md, the latter for people, with the label of the results' world."""
    with replacing(stem.with_suffix(".csv")) as partial:
        claims.to_csv(partial, index=False, float_format="%.4f")
    with replacing(stem.with_suffix(".md")) as partial:
        partial.write_text(markdown(claims, sizes), encoding="utf-8")


_RULE = (
    "A statistic is positive where its claim is true; its mean over seeds has a 95 % t-interval. "
    "*Holds*: the interval is above zero; *does not hold*: below; *not enough runs*: the runs "
    "cannot tell."
)


def markdown(claims: pd.DataFrame, sizes: int) -> str:
    """The claims as a table under the label of their world and the rule of the verdicts."""
    note = results.world_note(results.one_world(claims), sizes)
    held = int((claims["verdict"] == HOLDS).sum())
    lines = [
        "# The paper's claims on these results",
        "",
        *([f"**{note}.**", ""] if note else []),
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
