"""The test of each claim: a statistic that is positive where the claim is true.

A statistic has a value per seed; that of a claim about every size or every choice has a column for
each of these parts.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from promptscale.config.axes import AXES
from promptscale.config.tasks import SUPER_GLUE
from promptscale.reporting import paper, runs_table
from promptscale.reporting.claims.evidence import AbsentError, Evidence
from promptscale.reporting.provenance import is_papers

MARGIN = 1.0  # points; "at least as good" allows a score that is lower by less than this
# The choices of which the paper says that the largest size is the most robust to them.
CHOICES = ("prompt_length", "initialization", "pretraining_objective", "lm_adaptation_steps")

Values = pd.Series | pd.DataFrame  # index seed


def gap_closes(evidence: Evidence) -> Values:
    """The gap to model tuning at the smallest size, less that at the largest."""
    prompts, model = evidence.methods("prompt_tuning", "model_tuning")
    gap = model - prompts
    return gap.iloc[:, 0] - gap.iloc[:, -1]


def beats_design(evidence: Evidence) -> Values:
    """Prompt tuning less prompt design: at every size, or the paper's T5 Large less GPT-3 175B."""
    if is_papers(evidence.runs, evidence.architectures):
        return _beats_gpt3(evidence)
    prompts, design = evidence.methods("prompt_tuning", "prompt_design")
    return prompts - design


def _beats_gpt3(evidence: Evidence) -> pd.Series:
    scores = evidence.scores
    rows = scores[runs_table.has_setting(scores, evidence.default) & (scores["size"] == "large")]
    means = evidence.means(rows, "method")
    tasks = tuple(means["tasks"].iloc[0].split())
    if not set(tasks) <= set(SUPER_GLUE):
        raise AbsentError
    gpt3 = paper.gpt3_scores(tasks).set_index("parameters")["score"]
    return means.set_index("seed")["score"] - gpt3[gpt3.index.max()]


def single_token_short(evidence: Evidence) -> Values:
    """The default length less a single token, at every size but the largest."""
    single, default = _single_token(evidence)
    return (default - single).iloc[:, :-1]


def single_token_enough(evidence: Evidence) -> Values:
    """A single token less 90 % of the default length's score, at the largest size."""
    single, default = _single_token(evidence)
    return (single - 0.9 * default).iloc[:, -1]


def _single_token(evidence: Evidence) -> list[pd.DataFrame]:
    curves = ["1", str(evidence.default["prompt_length"])]
    return evidence.compared(evidence.along("prompt_length"), curves)


def beyond_twenty(evidence: Evidence) -> Values:
    """A quarter of the gain from the shortest length to 20, less the gain beyond, per length."""
    table = evidence.along("prompt_length")
    lengths = sorted({int(curve) for curve in table.index.get_level_values(0)})
    longer = [length for length in lengths if length > 20]
    if 20 not in lengths[1:] or not longer:
        raise AbsentError
    means = {length: pd.DataFrame(table.loc[str(length)]).mean(axis=1) for length in lengths}
    gain = means[20] - means[lengths[0]]
    return pd.DataFrame({length: gain / 4 - (means[length] - means[20]) for length in longer})


def label_order(evidence: Evidence) -> Values:
    """Labels less vocabulary and vocabulary less uniform, mean over sizes, plus the margin."""
    labels, vocabulary, uniform = _initializations(evidence)
    steps = {"vocabulary": labels - vocabulary, "uniform": vocabulary - uniform}
    return pd.DataFrame({name: step.mean(axis=1) for name, step in steps.items()}) + MARGIN


def initialization_vanishes(evidence: Evidence) -> Values:
    """The spread over initialisations, mean over the other sizes, less that at the largest."""
    spread = _spread(pd.concat(_initializations(evidence)))
    return spread.iloc[:, :-1].mean(axis=1) - spread.iloc[:, -1]


def _initializations(evidence: Evidence) -> list[pd.DataFrame]:
    names = ["class_label", "sampled_vocab", "random_uniform"]
    return evidence.compared(evidence.along("initialization"), names)


def _spread(table: pd.DataFrame) -> pd.DataFrame:
    """The best score less the worst of each seed (columns sizes)."""
    seeds = table.groupby(level="seed")
    return seeds.max() - seeds.min()


def adaptation_beats(name: str) -> Callable[[Evidence], Values]:
    """The default's LM adaptation less the objective `name`, mean over sizes."""

    def statistic(evidence: Evidence) -> pd.Series:
        axis = "pretraining_objective"
        default = AXES[axis].curve(evidence.default, evidence.default)
        adapted, other = evidence.compared(evidence.along(axis), [str(default), name])
        return (adapted - other).mean(axis=1)

    return statistic


def longer_is_better(evidence: Evidence) -> Values:
    """The rank correlation of steps and score, mean over sizes; 0 where all scores are equal."""
    seeds = evidence.along("lm_adaptation_steps").groupby(level="seed")
    return seeds.apply(lambda part: np.mean([_trend(part[size]) for size in part]))


def _trend(scores: pd.Series) -> float:
    if scores.nunique() == 1:
        return 0.0
    steps = scores.index.get_level_values(0).astype(int)
    return float(stats.spearmanr(steps, scores).statistic)


def most_robust(evidence: Evidence) -> Values:
    """The spread over a choice's settings at any other size, less that at the largest."""
    parts = {}
    for choice in CHOICES:
        spread = _spread(evidence.along(choice))
        parts[choice] = spread.iloc[:, :-1].sub(spread.iloc[:, -1], axis=0)
    return pd.concat(parts, axis=1)


def shift_favours_prompts(evidence: Evidence) -> Values:
    """The share of shifted sets on which prompts do better than tuned models, less 0.5."""
    scores = evidence.scores
    prompted = runs_table.has_setting(scores, evidence.default)
    rows = scores[(scores["method"] == "model_tuning") | prompted]
    rows = rows[rows["task"] != rows["eval_task"]]
    if set(rows["method"]) != {"prompt_tuning", "model_tuning"}:
        raise AbsentError
    rows = rows[rows["size"] == runs_table.largest(rows["size"], evidence.architectures)]
    table = rows.pivot_table(
        index=["seed", "task", "eval_task"], columns="method", values="score"
    ).dropna()
    better = table["prompt_tuning"] > table["model_tuning"]
    return better.groupby(level="seed").mean() - 0.5


def ensemble_beats_mean(evidence: Evidence) -> Values:
    """The ensemble less each of its prompts, mean over tasks (index the prompts' seeds)."""
    single, together = _ensemble(evidence)
    return together.mean() - single.mean(axis=1)


def ensemble_beats_best(evidence: Evidence) -> Values:
    """The ensemble less the best of its prompts, plus the margin (index tasks)."""
    single, together = _ensemble(evidence)
    return together - single.max() + MARGIN


def _ensemble(evidence: Evidence) -> tuple[pd.DataFrame, pd.Series]:
    """Scores of the single prompts (index seed, columns tasks) and of the ensemble by task."""
    scores = evidence.scores
    voted = scores[scores["method"] == "prompt_ensemble"]
    if voted.empty:
        raise AbsentError
    size = runs_table.largest(voted["size"], evidence.architectures)
    single = scores[runs_table.has_setting(scores, evidence.default) & (scores["size"] == size)]
    together = voted[voted["size"] == size].set_index("eval_task")["score"]
    table = runs_table.in_domain(single).pivot_table(
        index="seed", columns="eval_task", values="score"
    )
    tasks = [task for task in together.index if task in table and table[task].notna().all()]
    if not tasks:
        raise AbsentError
    return table[tasks], together[tasks]


def labels_persist(evidence: Evidence) -> Values:
    """Percent of label tokens that keep their label, less that of uniform initialisation."""
    frame = evidence.neighbours
    if frame is None:
        raise AbsentError
    share = frame.assign(share=100 * frame["labels_persisting"] / frame["labels"])
    table = share.pivot_table(index="seed", columns="initialization", values="share")
    if not {"class_label", "random_uniform"} <= set(table):
        raise AbsentError
    return table["class_label"] - table["random_uniform"]
