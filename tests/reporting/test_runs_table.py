"""The table of results refuses bad rows; its means and spreads are right."""

import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib.figure import Figure

from promptscale.config.sizes import PAPER_SIZES, SIZES
from promptscale.errors import ResultsError
from promptscale.reporting import provenance, runs_table
from promptscale.reporting.provenance import Provenance
from tests.reporting.conftest import MINIATURE, PAPER


@pytest.fixture
def written(make_runs, tmp_path):
    path = tmp_path / "runs.csv"
    runs_table.write_runs([make_runs()], path)
    return path


def test_what_is_written_is_read(make_runs, tmp_path):
    runs = make_runs()
    parts = [part for _, part in runs.groupby("run")]
    runs_table.write_runs(parts[::-1], tmp_path / "runs.csv")
    back = runs_table.read_runs(tmp_path / "runs.csv")
    expected = runs.sort_values(runs_table.KEY, ignore_index=True)
    pd.testing.assert_frame_equal(back, expected, check_dtype=False)
    assert back["selected"].dtype == bool
    first = (tmp_path / "runs.csv").read_bytes()
    runs_table.write_runs([runs], tmp_path / "runs.csv")
    assert (tmp_path / "runs.csv").read_bytes() == first


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_loss_is_finite(make_runs, tmp_path, loss):
    runs = make_runs()
    runs.loc[runs["metric"] == "loss", "value"] = loss
    with pytest.raises(ResultsError, match="it must be a number"):
        runs_table.write_runs([runs], tmp_path / "runs.csv")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("run", "", "line 5: run is ''; it must not be empty"),
        ("method", "prefix_tuning", "method is 'prefix_tuning'; it must be one of prompt_tuning"),
        ("objective", "clm", "objective is 'clm'; it must be one of span_corruption"),
        ("initialization", "zeros", "initialization is 'zeros'; it must be one of class_label"),
        ("origin", "toy", "line 5: origin is 'toy'; it must be one of generated, real"),
        ("label", "", "label is ''; it must not be empty"),
        ("seed", "first", "line 5: seed is 'first'; it must be a whole number"),
        ("seed", "0.5", "seed is '0.5'; it must be a whole number"),
        ("step", "-1", "step is '-1'; it must be 0 or more"),
        ("step", "", "step is ''; it must be a whole number"),
        ("value", "", "value is ''; it must be a number"),
        ("value", "101", "value is '101.0'; a metric is from 0 to 100"),
        ("value", "nan", "value is 'nan'; it must be a number"),
        ("selected", "yes", "line 5: selected is 'yes'; it must be True or False"),
        ("wall_seconds", "nan", "wall_seconds is 'nan'; it must be a number"),
        ("wall_seconds", "inf", "wall_seconds is 'inf'; it must be a number"),
        ("seed", "1e30", "seed is '1e30'; it must be a whole number"),
        ("size", "mini-xxl", "have several values of size"),
        ("wall_seconds", "-3", "wall_seconds is '-3.0'; it must be 0 or more"),
        ("prompt_length", "20", "prompt_length is '20'; it is positive for tuned prompts"),
        ("initialization", "class_label", "it is given for tuned prompts and empty for every"),
        ("adaptation_steps", "400", "it is positive for lm_adaptation and 0 otherwise"),
        ("metric", "loss", "metric is 'loss'; this run, task and step have it already"),
    ],
)
def test_a_bad_cell_is_named(written, column, value, message):
    rows = pd.read_csv(written, dtype=str, keep_default_na=False)
    # Line 5 is a model-tuning accuracy; the line before it is that step's neighbour.
    assert (rows["method"].iloc[3], rows["metric"].iloc[3]) == ("model_tuning", "accuracy")
    rows.loc[3, column] = value
    rows.to_csv(written, index=False)
    with pytest.raises(ResultsError) as caught:
        runs_table.read_runs(written)
    text = str(caught.value)
    assert message in text
    assert str(written) in text
    assert "\n" not in text


def test_ensembles_have_their_prompts_setting_and_sentinels_no_adaptation(make_runs, tmp_path):
    single = make_runs(lengths=(20,), seeds=(0,), methods=())
    voted = single.assign(method="prompt_ensemble", run="ensemble/" + single["run"])
    marked = single.assign(
        objective="span_corruption_sentinel", adaptation_steps=0, run="marked/" + single["run"]
    )
    runs_table.write_runs([single, voted, marked], tmp_path / "runs.csv")
    assert len(runs_table.read_runs(tmp_path / "runs.csv")) == 3 * len(single)
    for wrong in (voted.assign(prompt_length=0), voted.assign(initialization="")):
        with pytest.raises(ResultsError, match="for tuned prompts"):
            runs_table.write_runs([wrong], tmp_path / "runs.csv")
    with pytest.raises(ResultsError, match="it is positive for lm_adaptation and 0 otherwise"):
        runs_table.write_runs([marked.assign(adaptation_steps=400)], tmp_path / "runs.csv")


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "runs.csv"
    with pytest.raises(ResultsError, match=r"runs\.csv is missing"):
        runs_table.read_runs(path)
    path.write_text("")
    with pytest.raises(ResultsError, match=r"runs\.csv is empty"):
        runs_table.read_runs(path)
    path.write_text(",".join(runs_table.columns()) + "\n")
    with pytest.raises(ResultsError, match=r"runs\.csv has no rows"):
        runs_table.read_runs(path)
    path.write_text('run,b\n"1,2\n')
    with pytest.raises(ResultsError, match=r"runs\.csv, line 2, is not readable as CSV"):
        runs_table.read_runs(path)
    path.write_text("run,method\nx,y\n")
    with pytest.raises(ResultsError, match=r"runs\.csv lacks the column 'size'"):
        runs_table.read_runs(path)
    header = ",".join([*runs_table.columns(), "colour"])
    path.write_text(f"{header}\n{',' * header.count(',')}\n")
    with pytest.raises(ResultsError, match=r"runs\.csv has a column 'colour'"):
        runs_table.read_runs(path)


def test_early_stopping_selects_a_single_step(make_runs, tmp_path):
    runs = make_runs()
    unselected = runs.assign(selected=runs["selected"] & (runs["seed"] != 1))
    with pytest.raises(ResultsError, match="/1 has 0 selected scores on boolq"):
        runs_table.write_runs([unselected], tmp_path / "runs.csv")
    assert not (tmp_path / "runs.csv").exists()
    with pytest.raises(ResultsError, match="has 3 selected scores on boolq"):
        runs_table.write_runs([runs.assign(selected=True)], tmp_path / "runs.csv")
    with pytest.raises(ResultsError, match="no runs to write"):
        runs_table.write_runs([], tmp_path / "runs.csv")


def test_scores_are_those_of_the_selected_step(make_runs):
    runs = make_runs(sizes=("mini-small",), lengths=(20,), tasks=("squad",), seeds=(0, 2))
    scores = runs_table.selected_scores(runs)
    values = scores.set_index(["method", "seed"])["score"].to_dict()
    assert values == {
        ("prompt_tuning", 0): 50, ("prompt_tuning", 2): 52,
        ("model_tuning", 0): 55, ("model_tuning", 2): 57,
    }  # fmt: skip
    assert set(scores["step"]) == {200}


def test_other_domains_are_left_out(make_runs):
    scores = runs_table.selected_scores(make_runs(methods=("model_tuning_multitask",)))
    shifted = scores[scores["method"] == "prompt_tuning"].assign(eval_task="bioasq")
    trained_on = runs_table.in_domain(pd.concat([scores, shifted]))
    assert "bioasq" not in set(trained_on["eval_task"])
    assert len(trained_on) == len(scores)


def test_the_mean_over_tasks_is_per_seed(make_runs):
    scores = runs_table.selected_scores(make_runs(lengths=(20,)))
    scores.loc[scores["eval_task"] == "squad", "score"] -= 20
    means = runs_table.mean_over_tasks(scores, ["boolq", "squad"], ["method", "size"])
    by_seed = means.set_index(["method", "size", "seed"])["score"]
    assert by_seed["prompt_tuning", "mini-large", 2] == pytest.approx(60 + 2 - 10)
    total = runs_table.aggregate(means, ["method", "size"]).set_index(["method", "size"])
    assert tuple(total.loc[("prompt_tuning", "mini-large")]) == pytest.approx((51, 1, 3))


def test_a_missing_task_is_named(make_runs):
    scores = runs_table.selected_scores(make_runs(lengths=(20,)))
    lost = (scores["eval_task"] == "squad") & (scores["seed"] == 1) & (scores["size"] == "mini-xxl")
    with pytest.raises(ResultsError, match=r"no score on squad for .*size mini-xxl, seed 1"):
        runs_table.mean_over_tasks(scores[~lost], ["boolq", "squad"], ["method", "size"])


def test_the_spread_is_seaborns():
    values = [1.0, 4.0, 4.5]
    scores = pd.DataFrame({"x": 1.0, "score": values})
    aggregated = runs_table.aggregate(scores, ["x"]).iloc[0]
    axes = Figure().subplots()
    sns.pointplot(scores, x="x", y="score", errorbar="sd", ax=axes)
    low, high = sorted(axes.lines[1].get_ydata())
    assert (high - low) / 2 == pytest.approx(aggregated["sd"])
    assert aggregated["sd"] == pytest.approx(np.std(values, ddof=1))
    assert np.isnan(runs_table.aggregate(scores.head(1), ["x"]).iloc[0]["sd"])


def test_neither_origins_nor_labels_are_mixed(make_runs):
    assert provenance.provenance(make_runs()) == MINIATURE
    with pytest.raises(ResultsError, match="mix the origins generated, real; each needs a table"):
        provenance.provenance(pd.concat([make_runs(), make_runs(source=PAPER)]))
    other = make_runs(source=MINIATURE._replace(label="Again"))
    with pytest.raises(ResultsError, match="mix the labels Again, Miniature"):
        provenance.provenance(pd.concat([make_runs(), other]))


def test_the_caption_says_what_the_results_are_of(make_runs):
    three = "Miniature (generated data, three tiny T5s): not the paper's results"
    assert provenance.caption(make_runs()) == three
    paper = make_runs(sizes=tuple(PAPER_SIZES), tasks=("boolq",), source=PAPER)
    assert provenance.caption(paper) == "T5 1.1 (real data, five models)"
    other = make_runs(
        sizes=("t5-tiny",), tasks=("boolq",), source=Provenance("real", "my T5 Small")
    )
    caption = "my T5 Small (real data, one model): not the paper's results"
    assert provenance.caption(other) == caption
    # A size of the paper's name with another architecture is not the paper's.
    smaller = SIZES | {"xl": SIZES["mini-xl"]}
    assert provenance.caption(paper, smaller).endswith(": not the paper's results")
