"""Prompt tuning against model tuning and prompt design, by size (section 3.1, Figure 1)."""

from promptscale.config.tasks import SUPER_GLUE
from promptscale.reporting import paper
from promptscale.reporting.claims.evidence import AbsentError, Scores, Statistic, methods
from promptscale.reporting.claims.quantities import Quantity, average
from promptscale.reporting.claims.statistics.thresholds import MARGIN
from promptscale.reporting.context import Context


def gap_closes(context: Context) -> Statistic:
    """The mean gap to model tuning below the largest size, less the gap at the largest."""
    arms = ("model_tuning", "prompt_tuning")
    scores = methods(context, *arms)
    gaps = [scores.at(arms[0], size) - scores.at(arms[1], size) for size in scores.sizes]
    return scores.statistic([average(gaps[:-1]) - gaps[-1]], *arms)


def matches_model_tuning(context: Context) -> Statistic:
    """The margin less the difference to model tuning at the largest size, in both directions."""
    return _matches(context, "model_tuning")


def matches_multitask_tuning(context: Context) -> Statistic:
    """The margin less the difference to multi-task tuning at the largest size."""
    return _matches(context, "model_tuning_multitask")


def _matches(context: Context, method: str) -> Statistic:
    arms = (method, "prompt_tuning")
    scores = methods(context, *arms)
    largest = scores.sizes[-1]
    difference = scores.at("prompt_tuning", largest) - scores.at(method, largest)
    return scores.statistic([MARGIN + difference, MARGIN - difference], *arms)


def multitask_beats_single_task(context: Context) -> Statistic:
    """Multi-task tuning less model tuning on each task alone, mean over sizes."""
    arms = ("model_tuning_multitask", "model_tuning")
    scores = methods(context, *arms)
    return scores.statistic([scores.over(arms[0]) - scores.over(arms[1])], *arms)


def beats_prompt_design(context: Context) -> Statistic:
    """Prompt tuning less prompt design: at every size, or the paper's T5 Large less GPT-3 175B."""
    if context.is_papers(context.runs):
        scores = methods(context, "prompt_tuning")
        difference = scores.at("prompt_tuning", "large") - _gpt3(scores, "175B")
        return _of_paper(scores, "large", [difference])
    arms = ("prompt_tuning", "prompt_design")
    scores = methods(context, *arms)
    parts = [scores.at(arms[0], size) - scores.at(arms[1], size) for size in scores.sizes]
    return scores.statistic(parts, *arms)


def small_matches_gpt3_xl(context: Context) -> Statistic:
    """The margin less the difference of the paper's T5 Small to GPT-3 XL, in both directions."""
    if not context.is_papers(context.runs):
        return Statistic([], {}, testable=False)  # other models have no counterpart of GPT-3 XL
    scores = methods(context, "prompt_tuning")
    difference = scores.at("prompt_tuning", "small") - _gpt3(scores, "1.3B")
    return _of_paper(scores, "small", [MARGIN + difference, MARGIN - difference])


def _of_paper(scores: Scores, size: str, parts: list[Quantity]) -> Statistic:
    if size not in scores.sizes:
        raise AbsentError
    return scores.statistic(parts)


def _gpt3(scores: Scores, size: str) -> float:
    """GPT-3's score on the same tasks."""
    if not set(scores.tasks) <= set(SUPER_GLUE):
        raise AbsentError
    return float(paper.gpt3_scores(scores.tasks).set_index("size")["score"][size])
