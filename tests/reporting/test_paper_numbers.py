"""The paper's numbers agree with themselves and with ours, except where they are misprints."""

import numpy as np
import pytest

from promptscale.config.sizes import PAPER_SIZES
from promptscale.config.tasks import SUPER_GLUE
from promptscale.reporting import paper
from promptscale.reporting.tables import table4


def test_table4_differs_from_the_paper_in_its_misprints_alone():
    rows = table4.compare()
    assert len(rows) == 30
    differing = {
        (f"{row['size']} {row['prompt_length']}", measure)
        for row in rows.to_dict("records")
        for measure in table4.MEASURES
        if row[measure] != row[f"{measure}_paper"]
    }
    assert differing == set(paper.errata("table4"))
    assert differing == {
        ("small 20", "trainable"), ("small 20", "total"), ("large 100", "percent"),
        ("xl 20", "percent"), ("xl 100", "percent"), ("xxl 50", "total"),
    }  # fmt: skip


def test_table4s_errata_say_what_is_computed():
    rows = table4.compare()
    by_name = {f"{row['size']} {row['prompt_length']}": row for row in rows.to_dict("records")}
    for (name, measure), misprint in paper.errata("table4").items():
        assert float(misprint["correct"]) == by_name[name][measure]
        assert float(misprint["printed"]) == by_name[name][f"{measure}_paper"]


def test_totals_without_prompt_are_the_papers():
    totals = {size: config.num_parameters for size, config in PAPER_SIZES.items()}
    assert totals == {
        "small": 76_961_152, "base": 247_577_856, "large": 783_150_080,
        "xl": 2_849_757_184, "xxl": 11_135_332_352,
    }  # fmt: skip


def test_gpt3s_averages_recompute_from_its_tasks():
    table = paper.numbers("gpt3_few_shot")
    printed = table[table["task"] == "average"].set_index("size")["value"]
    scores = paper.gpt3_scores().set_index("size")["score"]
    assert set(table["task"]) == {"average", *SUPER_GLUE}
    assert len(scores) == 8
    for size, score in scores.items():
        assert score == pytest.approx(printed[size], abs=0.0501)
    assert scores["175B"] == pytest.approx(73.2, abs=0.05)


def test_gpt3s_score_on_one_task_is_the_mean_of_its_metrics():
    scores = paper.gpt3_scores(("cb",)).set_index("size")["score"]
    assert scores["175B"] == pytest.approx((82.1 + 57.2) / 2)
    assert paper.gpt3_scores()["parameters"].is_monotonic_increasing


def test_table3s_means_recompute_except_for_its_misprint():
    table = paper.numbers("table3")
    tasks = table[table["task"] != "super_glue"].groupby("task")[["average", "best", "ensemble"]]
    means = tasks.mean().mean()
    assert means.round(2).to_dict() == {"average": 90.49, "best": 91.06, "ensemble": 91.32}
    printed = table.set_index("task").loc["super_glue"]
    misprints = {column for _, column in paper.errata("table3")}
    off = {column for column, mean in means.items() if abs(mean - printed[column]) > 0.05}
    assert off == misprints == {"best"}


def test_label_shares_add_up_except_where_misprinted():
    shares = paper.numbers("label_distributions")
    totals = shares.groupby(["table", "split"])["percent"].sum().round(1)
    off = {place for place, total in totals.items() if total != 100.0}
    assert off == {(14, "train")}
    ((_, label), misprint), = paper.errata("table14").items()  # fmt: skip
    row = shares[(shares["table"] == 14) & (shares["label"] == label)].iloc[0]
    assert f"{row['percent']:.1f}" == misprint["printed"]
    assert misprint["correct"] == f"{100 * 1249 / 2490:.1f}"


def test_table1s_differences_are_those_of_its_means():
    table = paper.numbers("table1")
    np.testing.assert_allclose(
        table["prompt_mean"] - table["model_mean"], table["delta"], atol=0.01
    )
