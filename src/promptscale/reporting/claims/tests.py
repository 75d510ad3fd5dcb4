"""The test of each claim of claims.csv: a statistic that is positive where the claim is true.

A function has the name of its claim. A statistic has a value per seed; that of a claim about every
size or every choice has a column for each of these parts.
"""

import numpy as np
import pandas as pd
from scipy import stats

from promptscale.config.axes import AXES, PAPER_AXES
from promptscale.config.settings import PromptTuning
from promptscale.config.sizes import PAPER_SIZES, parameter_counts
from promptscale.config.tasks import SUPER_GLUE
from promptscale.reporting import paper, runs_table
from promptscale.reporting.claims.evidence import AbsentError, along, compared, means, methods
from promptscale.reporting.context import Context

# Points, as claims.csv says: "at least as good" allows a score that is lower by less than this.
MARGIN = 1.0

Values = pd.Series | pd.DataFrame  # index seed


def gap_closes(context: Context) -> Values:
    """The gap to model tuning at the smallest size, less that at the largest."""
    prompts, model = methods(context, "prompt_tuning", "model_tuning")
    gap = model - prompts
    return gap.iloc[:, 0] - gap.iloc[:, -1]


def beats_prompt_design(context: Context) -> Values:
    """Prompt tuning less prompt design: at every size, or the paper's T5 Large less GPT-3 175B."""
    if not context.is_papers(context.runs):
        prompts, design = methods(context, "prompt_tuning", "prompt_design")
        return prompts - design
    scores = context.scores
    rows = scores[context.has_default(scores) & (scores["size"] == "large")]
    table = means(context, rows, "method")
    tasks = tuple(table["tasks"].iloc[0].split())
    if not set(tasks) <= set(SUPER_GLUE):
        raise AbsentError
    gpt3 = paper.gpt3_scores(tasks).set_index("parameters")["score"]
    return table.set_index("seed")["score"] - gpt3[gpt3.index.max()]


def one_token_short(context: Context) -> Values:
    """The default length less a single token, at every size but the largest."""
    single, default = _single_token(context)
    return (default - single).iloc[:, :-1]


def one_token_enough(context: Context) -> Values:
    """A single token less 90 % of the default length's score, at the largest size."""
    single, default = _single_token(context)
    return (single - 0.9 * default).iloc[:, -1]


def _single_token(context: Context) -> list[pd.DataFrame]:
    curves = ["1", str(context.default["prompt_length"])]
    return compared(context, along(context, "prompt_length"), curves)


def beyond_twenty(context: Context) -> Values:
    """A quarter of the gain from the shortest length to 20, less the gain beyond, per length."""
    table = along(context, "prompt_length")
    lengths = sorted({int(curve) for curve in table.index.get_level_values(0)})
    longer = [length for length in lengths if length > 20]
    if 20 not in lengths[1:] or not longer:
        raise AbsentError
    scores = {length: pd.DataFrame(table.loc[str(length)]).mean(axis=1) for length in lengths}
    gain = scores[20] - scores[lengths[0]]
    return pd.DataFrame({length: gain / 4 - (scores[length] - scores[20]) for length in longer})


def label_order(context: Context) -> Values:
    """Labels less vocabulary and vocabulary less uniform, mean over sizes, plus the margin."""
    labels, vocabulary, uniform = _initializations(context)
    steps = {"vocabulary": labels - vocabulary, "uniform": vocabulary - uniform}
    return pd.DataFrame({name: step.mean(axis=1) for name, step in steps.items()}) + MARGIN


def initialization_vanishes(context: Context) -> Values:
    """The spread over initialisations, mean over the other sizes, less that at the largest."""
    spread = _spread(pd.concat(_initializations(context)))
    return spread.iloc[:, :-1].mean(axis=1) - spread.iloc[:, -1]


def _initializations(context: Context) -> list[pd.DataFrame]:
    names = ["class_label", "sampled_vocab", "random_uniform"]
    return compared(context, along(context, "initialization"), names)


def _spread(table: pd.DataFrame) -> pd.DataFrame:
    """The best score less the worst of each seed (columns sizes)."""
    seeds = table.groupby(level="seed")
    return seeds.max() - seeds.min()


def adaptation_beats_span_corruption(context: Context) -> Values:
    """The default's LM adaptation less span corruption, mean over sizes."""
    return _adaptation_less(context, "span_corruption")


def adaptation_beats_sentinel(context: Context) -> Values:
    """The default's LM adaptation less span corruption with a sentinel, mean over sizes."""
    return _adaptation_less(context, "span_corruption_sentinel")


def _adaptation_less(context: Context, objective: str) -> pd.Series:
    axis = "pretraining_objective"
    default = str(AXES[axis].curve(context.default, context.default))
    adapted, other = compared(context, along(context, axis), [default, objective])
    return (adapted - other).mean(axis=1)


def longer_adaptation(context: Context) -> Values:
    """The rank correlation of steps and score, mean over sizes; 0 where all scores are equal."""
    seeds = along(context, "lm_adaptation_steps").groupby(level="seed")
    return seeds.apply(lambda part: np.mean([_trend(part[size]) for size in part]))


def _trend(scores: pd.Series) -> float:
    if scores.nunique() == 1:
        return 0.0
    steps = scores.index.get_level_values(0).astype(int)
    return float(stats.spearmanr(steps, scores).statistic)


def largest_is_robust(context: Context) -> Values:
    """The spread over a choice's settings at any other size, less that at the largest."""
    tables = {axis: _spread(along(context, axis)) for axis in PAPER_AXES}
    less = [table.iloc[:, :-1].sub(table.iloc[:, -1], axis=0) for table in tables.values()]
    return pd.concat(less, axis=1, keys=tables)


def domain_shift(context: Context) -> Values:
    """The share of shifted sets on which prompts do better than tuned models, less 0.5."""
    scores = context.scores
    prompted = context.has_default(scores)
    rows = scores[(scores["method"] == "model_tuning") | prompted]
    rows = rows[rows["task"] != rows["eval_task"]]
    if set(rows["method"]) != {"prompt_tuning", "model_tuning"}:
        raise AbsentError
    rows = rows[rows["size"] == context.largest(rows["size"])]
    keys = ["seed", "task", "eval_task"]
    table = rows.pivot_table(index=keys, columns="method", values="score").dropna()
    better = table["prompt_tuning"] > table["model_tuning"]
    return better.groupby(level="seed").mean() - 0.5


def ensemble_beats_mean(context: Context) -> Values:
    """The ensemble less each of its prompts, mean over tasks (index the prompts' seeds)."""
    single, together = _ensemble(context)
    return together.mean() - single.mean(axis=1)


def ensemble_beats_best(context: Context) -> Values:
    """The ensemble less the best of its prompts, plus the margin (index tasks)."""
    single, together = _ensemble(context)
    return together - single.max() + MARGIN


def _ensemble(context: Context) -> tuple[pd.DataFrame, pd.Series]:
    """Scores of the single prompts (index seed, columns tasks) and of the ensemble by task."""
    scores = context.scores
    voted = scores[scores["method"] == "prompt_ensemble"]
    if voted.empty:
        raise AbsentError
    size = context.largest(voted["size"])
    single = runs_table.in_domain(scores[context.has_default(scores) & (scores["size"] == size)])
    together = voted[voted["size"] == size].set_index("eval_task")["score"]
    table = single.pivot_table(index="seed", columns="eval_task", values="score")
    tasks = [task for task in together.index if task in table and table[task].notna().all()]
    if not tasks:
        raise AbsentError
    return table[tasks], together[tasks]


def labels_persist(context: Context) -> Values:
    """Percent of label tokens that keep their label, less that of uniform initialisation."""
    frame = context.neighbours
    share = frame.assign(share=100 * frame["labels_persisting"] / frame["labels"])
    table = share.pivot_table(index="seed", columns="initialization", values="share")
    if not {"class_label", "random_uniform"} <= set(table):
        raise AbsentError
    return table["class_label"] - table["random_uniform"]


def few_parameters(context: Context) -> Values:
    """0.01 less the largest percentage of the paper's sizes above a billion parameters (exact).

    The value stands for each of these sizes (index sizes); it needs no results.
    """
    sizes = [size for size, model in PAPER_SIZES.items() if model.num_parameters > 1e9]
    length = PromptTuning.model_fields["prompt_length"].default
    largest = max(parameter_counts(size, length)["percent"] for size in sizes)
    return pd.Series(0.01 - largest, index=sizes)
