"""The paper's numbers agree with themselves and with ours, except where they are misprints."""

import numpy as np
import pandas as pd
import pytest

from promptscale.config.sizes import PAPER_SIZES
from promptscale.config.tasks import SUPER_GLUE
from promptscale.reporting import paper
from promptscale.reporting.tables import table4, text_numbers
from tests.reporting.conftest import made


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


def test_the_texts_numbers_follow_from_the_architectures():
    """Each computed number supports the paper's words, and every number of the file is computed."""
    values = text_numbers.computed()
    assert set(values) == set(paper.numbers("text_numbers")["name"])
    assert (values["copy"], values["short_prompt"]) == (11_135_332_352, 20_480)
    bounds = {"orders": 5, "fewer": 20_000, "small_gpt3": 16, "large_gpt3": 220}
    for name, bound in bounds.items():
        assert float(str(values[name]).replace(",", "")) > bound
    assert float(str(values["billion"]).rstrip("%")) < 0.01
    assert float(str(values["warp"]).rstrip("%")) < 0.1
    table = text_numbers.build(made())
    assert len(table.rows) == len(values)
    assert any("3(c)" in note for note in table.notes)


def test_the_default_curve_is_the_same_in_all_panels():
    """It was read off five times; the readings differ by no more than the coarsest error."""
    names = {"a": "length_100", "b": "class_label", "c": "lm_100000", "d": "lm_100000"}
    default = paper.curves(1).set_index(["curve", "size"])["mean"]["prompt_tuning"]
    for panel, name in names.items():
        again = paper.curves(3, panel).set_index(["curve", "size"])["mean"][name]
        assert (again - default).abs().max() <= 0.35


def test_the_curves_agree_with_the_papers_tables():
    """XXL's mean is Table 3's, and GPT-3's squares are the averages of its tasks."""
    xxl = paper.curves(1).set_index(["curve", "size"])["mean"]["prompt_tuning", "xxl"]
    table3 = paper.numbers("table3").set_index("task").loc["super_glue", "average"]
    assert xxl == pytest.approx(table3, abs=1.0)
    read_off = paper.numbers("figures")
    squares = read_off[read_off["curve"] == "gpt3_prompt_design"].set_index("size")["mean"]
    scores = paper.gpt3_scores().set_index("size")["score"]
    assert not squares.empty
    for size, score in squares.items():
        assert score == pytest.approx(scores[size], abs=0.1)


def test_what_cannot_be_decided_has_no_correction():
    errata = paper.errata("text")
    assert errata["Table 5", "base 50"]["correct"] == ""
    times = paper.numbers("table5").set_index(["size", "prompt_length"])["mean"]
    assert times["base", 50] == errata["Table 5", "base 50"]["printed"]
    minutes = {key: pd.Timedelta(f"0:{text}" if text.count(":") == 1 else text)
               for key, text in times.items()}  # fmt: skip
    slower = {size for size, length in minutes if length == 50
              and minutes[size, 50] > minutes[size, 100]}  # fmt: skip
    assert slower == {"base"}
