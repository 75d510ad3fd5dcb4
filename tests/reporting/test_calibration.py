"""The paper's own numbers pass the claims, and numbers without the effect do not."""

import re
from pathlib import Path

import numpy as np
import pytest

from promptscale.reporting import paper
from promptscale.reporting.claims import CLAIMS, HOLDS, calibration, judged, simulation
from promptscale.reporting.claims.statistics import statistic_of

DOCUMENT = Path(__file__).parents[2] / "docs/claims.md"
STATEMENTS = CLAIMS.set_index("claim")["statement"]
WITHOUT_NUMBERS = {
    "labels_persist", "clusters_are_tight", "labels_are_spread", "neighbours_are_shared",
    "few_parameters", "far_fewer_parameters", "warp_percentage", "prefix_percentage",
}  # fmt: skip


def documented() -> dict[str, tuple[float, float, str]]:
    """The table of docs/claims.md: by statement, both rates and whether 95 % is reached."""
    rows = re.findall(r"^\| (.+) \| ([\d.]+) \| ([\d.]+) \| (\w+) \|$", DOCUMENT.read_text(), re.M)
    return {name: (float(present), float(removed), yes) for name, present, removed, yes in rows}


def test_every_claim_with_numbers_in_the_paper_is_calibrated():
    assert set(calibration.CASES) == set(CLAIMS["claim"]) - WITHOUT_NUMBERS
    assert set(documented()) == {STATEMENTS[claim] for claim in calibration.CASES}


@pytest.mark.parametrize("claim", calibration.CASES)
def test_a_claim_is_true_of_the_papers_means(claim):
    """Without noise: what the paper says of its own numbers, the statistic says too."""
    distribution = simulation.of_panel(calibration.CASES[claim][0]).assign(sd=0.0)
    context = simulation.drawn(distribution, np.random.default_rng(0))
    assert judged(statistic_of(claim)(context))[1] == HOLDS


def test_no_claim_passes_without_its_effect():
    """As documented: at most 5 % of 200 draws, for every claim."""
    assert max(removed for _, removed, _ in documented().values()) <= 5


def test_a_few_draws_agree_with_the_documented_rates():
    """The ensembles' draws take longer; `test_the_documented_rates_are_computed` has them."""
    claims = [claim for claim, (panel, _) in calibration.CASES.items() if panel != "ensemble"]
    table = calibration.rates(claims, draws=20, seed=1)
    assert (table["removed"] <= 20).all()
    reached = [documented()[STATEMENTS[claim]][2] == "yes" for claim in claims]
    assert sum(reached) >= 16
    assert (table.loc[reached, "present"] >= 80).all()


@pytest.mark.slow
def test_the_documented_rates_are_computed():
    assert calibration.markdown(calibration.rates()) in DOCUMENT.read_text()


def test_the_figures_numbers_agree_with_each_other_and_with_the_tables():
    figures = paper.numbers("figures")
    assert figures["mean"].between(0, 100).all()
    means = figures.groupby(["curve", "size"])["mean"]
    assert (means.max() == means.min()).all()  # curves that two panels show
    means = means.first()
    for curve in ("length_100", "class_label", "lm_100000"):
        assert means[curve].equals(means["prompt_tuning"])
    gpt3 = paper.gpt3_scores().set_index("size")["score"]
    for size in ("760M", "2.7B"):
        assert means["gpt3_prompt_design", size] == pytest.approx(gpt3[size], abs=0.15)
