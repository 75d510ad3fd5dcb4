"""The figures plot the right numbers, say what they are, and are written the same every time."""

import subprocess
import sys

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from promptscale.config.axes import AXES
from promptscale.config.sizes import PAPER_SIZES, SIZES
from promptscale.config.tasks import SUPER_GLUE
from promptscale.errors import ResultsError
from promptscale.reporting import runs_table
from promptscale.reporting.context import Context
from promptscale.reporting.figures import figure1, figure3, figure4, style
from promptscale.reporting.figures.registry import draw_figure
from tests.reporting.conftest import PAPER, made

PAPERS = {"sizes": tuple(PAPER_SIZES), "tasks": SUPER_GLUE, "source": PAPER}


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def test_figure1_plots_the_mean_over_tasks(make_runs):
    data = figure1.data(made(make_runs()))
    assert set(data["method"]) == {"prompt_tuning", "model_tuning"}
    assert set(data["tasks"]) == {"boolq squad"}
    points = data.set_index(["method", "size", "seed"])
    assert points.loc[("prompt_tuning", "mini-large", 2), "score"] == 62
    assert (
        points.loc[("model_tuning", "mini-large", 2), "parameters"]
        == SIZES["mini-large"].num_parameters
    )
    axes = figure1.draw(made(), data).axes[0]
    line = axes.lines[-2]  # the last line is the score of constant answers
    np.testing.assert_allclose(line.get_ydata(), [51, 61, 71])
    sizes = [SIZES[f"mini-{name}"].num_parameters for name in ("small", "large", "xxl")]
    np.testing.assert_allclose(line.get_xdata(), sizes)
    assert line.get_marker() == style.DEFAULT_MARKER
    assert matplotlib.colors.same_color(line.get_color(), style.GREEN)
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "Model Parameters",
        "Mean Score\n(BoolQ, SQuAD)",
    )
    band = axes.collections[-1].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((50, 72))


def test_figure1_of_all_eight_tasks_is_the_superglue_score(make_runs):
    runs = make_runs(tasks=(*SUPER_GLUE, "squad"), seeds=(0,), sizes=("mini-small", "mini-xxl"))
    data = figure1.data(made(runs))
    assert set(data["tasks"]) == {" ".join(SUPER_GLUE)}
    assert figure1.draw(made(), data).axes[0].get_ylabel() == "SuperGLUE Score"


def test_gpt3_stands_beside_the_papers_sizes_alone(make_runs):
    assert "gpt3_prompt_design" not in set(figure1.data(made(make_runs()))["method"])
    runs = make_runs(methods=("model_tuning_multitask",), **PAPERS)
    data = figure1.data(made(runs))
    gpt3 = data[data["method"] == "gpt3_prompt_design"]
    assert gpt3["score"].max() == pytest.approx(73.2, abs=0.05)
    assert gpt3["parameters"].max() == 175e9
    shown = texts(figure1.draw(made(), data))
    assert {"Prompt Design (GPT-3)", "Model Tuning (Multi-task)", "Prompt Tuning"} <= set(shown)


def test_the_face_says_whose_results_these_are(make_runs):
    three = figure1.draw(made(), figure1.data(made(make_runs())))
    note = "Miniature (generated data, three tiny T5s): not the paper's results"
    assert note in texts(three)
    assert note in texts(figure3.draw(made(), figure3.data(made(make_runs()), ["prompt_length"])))
    paper = figure1.draw(made(), figure1.data(made(make_runs(**PAPERS))))
    assert "T5 1.1 (real data, five models)" in texts(paper)


def test_the_floor_is_a_line_with_a_name(make_runs):
    figure = figure1.draw(made(), figure1.data(made(make_runs())))
    assert "Majority Class" in texts(figure)
    assert list(figure.axes[0].lines[-1].get_ydata()) == [42.5, 42.5]


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_figures_need_neither_all_methods_nor_several_seeds(make_runs, seeds):
    runs = make_runs(methods=(), seeds=seeds, sizes=("mini-small",), tasks=("boolq",))
    data = figure1.data(made(runs))
    assert set(data["method"]) == {"prompt_tuning"}
    assert figure1.draw(made(), data).axes[0].get_ylabel() == "BoolQ Score"
    figure3.draw(made(), figure3.data(made(runs), ["prompt_length"]))


def test_figure3_has_one_curve_per_length(make_runs):
    data = figure3.data(made(make_runs(lengths=(100, 5, 20, 1))), ["prompt_length"])
    figure = figure3.draw(made(), data)
    (axes,) = figure.axes
    handles, labels = axes.get_legend_handles_labels()
    assert labels == ["1", "5", "20 (default)", "100"]
    assert len({handle.get_marker() for handle in handles}) == 4
    assert len({handle.get_color() for handle in handles}) == 4
    default = handles[labels.index("20 (default)")]
    assert default.get_marker() == style.DEFAULT_MARKER
    assert matplotlib.colors.same_color(default.get_color(), style.GREEN)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [41, 51, 61])


def test_figure3_leaves_out_what_differs_in_anything_else(make_runs):
    runs = make_runs(lengths=(1, 20))
    other = make_runs(lengths=(5,), methods=()).assign(initialization="random_uniform")
    other["run"] += "/uniform"
    data = figure3.data(made(pd.concat([runs, other])), ["prompt_length"])
    assert set(data["curve"]) == {"1", "20"}


def ablated(make_runs, **changes) -> pd.DataFrame:
    """Runs of another setting: the hand-made ones under other descriptions."""
    runs = make_runs(lengths=(20,), methods=()).assign(**changes)
    runs["run"] += "/" + "-".join(map(str, changes.values()))
    return runs


@pytest.fixture
def all_ablations(make_runs):
    span = {"objective": "span_corruption", "adaptation_steps": 0}
    return pd.concat([
        make_runs(lengths=(1, 20)),
        ablated(make_runs, initialization="random_uniform"),
        ablated(make_runs, initialization="sampled_vocab"),
        ablated(make_runs, initialization="text"),
        ablated(make_runs, **span),
        ablated(make_runs, **span | {"objective": "span_corruption_sentinel"}),
        ablated(make_runs, adaptation_steps=40),
    ])  # fmt: skip


def test_each_panel_varies_one_thing(all_ablations):
    data = figure3.data(made(all_ablations))
    figure = figure3.draw(made(), data)
    shown = [axes.get_legend_handles_labels()[1] for axes in figure.axes]
    assert shown == [
        ["1", "20 (default)"],
        ["Random Uniform", "Sampled Vocab", "Class Label (default)"],
        ["Span Corruption", "Span Corruption + Sentinel", "LM Adaptation (400 steps)"],
        ["0", "40", "400 (default)"],  # the sentinel's runs have 0 steps too, and are not here
    ]
    for axes in figure.axes:
        lines = axes.get_legend_handles_labels()[0]
        assert [line.get_marker() == style.DEFAULT_MARKER for line in lines].count(True) == 1
        assert lines[-1].get_marker() == style.DEFAULT_MARKER
    assert len(data[data["panel"] == "d"]) == 3 * 3 * 3
    assert "text" not in set(data["curve"])


def test_the_panels_legends_are_on_the_page_and_their_ranges_equal(all_ablations):
    figure = figure3.draw(made(), figure3.data(made(all_ablations)))
    FigureCanvasAgg(figure).draw()
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert len({round(axes.get_position().height, 6) for axes in figure.axes}) == 1
    for part in figure.subfigs:
        (legend,) = part.legends
        box = legend.get_window_extent()
        assert part.bbox.x0 <= box.x0 and box.x1 <= part.bbox.x1


CONTINUED = ["span_corruption_continued", "span_corruption_continued_sentinel"]


@pytest.mark.parametrize("further", [CONTINUED, ["span_corruption_sentinel", *CONTINUED]])
def test_a_legend_that_is_too_wide_has_fewer_columns(all_ablations, make_runs, further):
    runs = all_ablations[all_ablations["objective"] != "span_corruption_sentinel"]
    runs = pd.concat([runs, *(ablated(make_runs, objective=name) for name in further)])
    figure = figure3.draw(made(), figure3.data(made(runs), ["pretraining_objective"]))
    FigureCanvasAgg(figure).draw()
    (part,) = figure.subfigs
    (legend,) = part.legends
    assert len(legend.get_texts()) == 2 + len(further)
    box = legend.get_window_extent()
    assert part.bbox.x0 <= box.x0 and box.x1 <= part.bbox.x1


def test_steps_are_written_as_the_paper_does_where_they_are_of_its_magnitude():
    lines = figure3.lines(AXES["lm_adaptation_steps"], ["100000", "0", "10000"], "100000")
    assert [line.label for line in lines.values()] == ["0K", "10K", "100K (default)"]
    axis = AXES["pretraining_objective"]
    lines = figure3.lines(axis, ["lm_100000", "span_corruption"], "lm_100000")
    assert [line.label for line in lines.values()] == [
        "Span Corruption", "LM Adaptation (100K steps)",
    ]  # fmt: skip


def test_any_number_of_curves_is_drawn(make_runs):
    lengths = (*range(1, 10), 20)
    (axes,) = figure3.draw(
        made(), figure3.data(made(make_runs(lengths=lengths)), ["prompt_length"])
    ).axes
    handles, labels = axes.get_legend_handles_labels()
    assert labels == [*map(str, range(1, 10)), "20 (default)"]
    assert len({(line.get_marker(), line.get_color()) for line in handles}) == len(lengths)


def test_a_curve_may_lack_a_size(all_ablations):
    uniform = all_ablations["initialization"] == "random_uniform"
    part = all_ablations[~uniform | (all_ablations["size"] == "mini-small")]
    data = figure3.data(made(part))
    uniform = data[(data["panel"] == "b") & (data["curve"] == "random_uniform")]
    assert set(uniform["size"]) == {"mini-small"}
    assert len(figure3.draw(made(), data).axes) == 4


def test_a_setting_outside_the_panel_takes_nothing_from_it(all_ablations):
    """Prompts that start from a text, on a single task and seed, leave panel (b) as it is."""
    text = all_ablations["initialization"] == "text"
    few = (all_ablations["task"] == "boolq") & (all_ablations["seed"] == 0)
    whole = figure3.data(made(all_ablations), ["initialization"])
    pd.testing.assert_frame_equal(
        figure3.data(made(all_ablations[~text | few]), ["initialization"]), whole
    )


def test_a_length_of_one_task_alone_is_not_a_curve(make_runs):
    """Table 5 tunes some lengths on BoolQ only; the panel stays a mean over all tasks."""
    runs = make_runs(lengths=(1, 20, 50))
    data = figure3.data(
        made(runs[(runs["prompt_length"] != 50) | (runs["task"] == "boolq")]), ["prompt_length"]
    )
    assert set(data["curve"]) == {"1", "20"}
    assert set(data["tasks"]) == {"boolq squad"}
    boolq = runs[runs["task"] == "boolq"]
    assert set(figure3.data(made(boolq), ["prompt_length"])["curve"]) == {"1", "20", "50"}


def test_only_the_seeds_that_all_have_are_drawn(make_runs):
    """An ensemble's further prompts are not in the figures."""
    further = make_runs(seeds=(3, 4), lengths=(20,), methods=(), sizes=("mini-xxl",))
    data = figure3.data(made(pd.concat([make_runs(), further])), ["prompt_length"])
    assert set(data["seed"]) == {0, 1, 2}


def test_an_ensemble_takes_nothing_from_figure1(make_runs):
    runs = make_runs()
    voted = runs[(runs["method"] == "prompt_tuning") & (runs["size"] == "mini-xxl")]
    voted = voted[(voted["seed"] == 0) & (voted["prompt_length"] == 20)]
    voted = voted.assign(method="prompt_ensemble", run="ensemble/" + voted["run"])
    data = figure1.data(made(pd.concat([runs, voted])))
    pd.testing.assert_frame_equal(data, figure1.data(made(runs)))


def test_a_task_of_one_size_alone_is_left_out_of_the_mean(make_runs):
    """Domain shift trains on SQuAD at the largest size; the curves are over the others."""
    runs = make_runs()
    small = runs[(runs["task"] == "boolq") | (runs["size"] == "mini-xxl")]
    assert set(figure1.data(made(small))["tasks"]) == {"boolq"}


def test_a_missing_superglue_task_is_named(make_runs):
    runs = make_runs(tasks=SUPER_GLUE, lengths=(20,))
    lost = (runs["task"] == "cb") & (runs["size"] == "mini-large") & (runs["seed"] == 1)
    with pytest.raises(ResultsError, match=r"no score on cb for .*size mini-large, seed 1"):
        figure1.data(made(runs[~lost]))


def test_curves_without_a_common_seed_are_refused(make_runs):
    runs = make_runs()
    apart = (runs["method"] == "model_tuning") == (runs["seed"] == 0)
    with pytest.raises(ResultsError, match="no seed that every method"):
        figure1.data(made(runs[apart]))


@pytest.mark.parametrize("name", ["figure1", "figure3", *map("figure3{}".format, "abcd")])
def test_figures_are_drawn_by_name(all_ablations, setting, tmp_path, name):
    runs_table.write_runs([all_ablations], tmp_path / "runs.csv")
    majority = tmp_path / "majority.csv"
    majority.write_text("task,score\nboolq,60\nsquad,0\n")
    context = Context.of({"runs": tmp_path / "runs.csv", "majority": majority}, setting, {})
    draw_figure(name, context, tmp_path / name)
    assert (tmp_path / f"{name}.png").stat().st_size > 0
    panels = pd.read_csv(tmp_path / f"{name}.csv").get("panel", pd.Series(dtype=str))
    assert "".join(dict.fromkeys(panels)) == {"figure1": "", "figure3": "abcd"}.get(name, name[-1])


def test_an_unknown_figure_is_a_sentence(setting, tmp_path):
    with pytest.raises(ResultsError, match="There is no figure 'a'; there are figure1, figure3, f"):
        draw_figure("a", Context.of({}, setting, {}), tmp_path / "a")


def test_no_matching_runs_is_a_sentence(make_runs, setting):
    other = setting | {"prompt_length": 7, "adaptation_steps": 9}
    with pytest.raises(ResultsError, match=r"no runs for Figure 3\(a\)"):
        figure3.data(made(make_runs(), default=other))
    with pytest.raises(ResultsError, match="no run of the configurations"):
        figure1.data(made(make_runs(methods=()), default=other))


def test_curves_without_a_common_task_are_refused(make_runs):
    runs = make_runs()
    apart = (runs["method"] == "model_tuning") == (runs["task"] == "boolq")
    with pytest.raises(ResultsError, match="no task that every method"):
        figure1.data(made(runs[apart]))


def test_figure4_has_the_papers_methods_and_axes():
    data = figure4.data(made())
    (axes,) = figure4.draw(made(), data).axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    labels = axes.get_legend_handles_labels()[1]
    assert labels == [line.label for line in figure4.LINES.values()]
    prompt = next(line for line in axes.lines if line.get_label() == "Prompt Tuning")
    small = data[(data["method"] == "prompt_tuning") & (data["size"] == "small")]["percent"]
    assert prompt.get_ydata()[0] == pytest.approx(small.mean())


def test_colours_differ_in_grey_or_by_marker():
    for lines in (figure1.LINES, figure4.LINES):
        together = {name: line for name, line in lines.items() if name != "gpt3_prompt_design"}
        assert len({line.marker for line in together.values()}) == len(together)
        assert len({line.color for line in together.values()}) == len(together)


def test_written_figures_are_the_same_every_time(make_runs, tmp_path):
    def write(stem):
        data = figure1.data(made(make_runs()))
        return style.save(figure1.draw(made(), data), data, stem)

    first, second = write(tmp_path / "a" / "figure1"), write(tmp_path / "b" / "figure1")
    assert [path.name for path in first] == ["figure1.pdf", "figure1.png", "figure1.csv"]
    for path, again in zip(first, second, strict=True):
        assert path.read_bytes() == again.read_bytes()
    assert first[0].read_bytes().startswith(b"%PDF")
    assert b"Date" not in first[0].read_bytes()
    assert not list(tmp_path.rglob("*.partial"))


def test_figures_and_tables_import_neither_jax_nor_tensorflow():
    program = (
        "import sys, promptscale.reporting.figures.figure1, promptscale.reporting.figures.figure3, "
        "promptscale.reporting.figures.figure4, promptscale.reporting.tables.table4, "
        "promptscale.reporting.tables.table5, "
        "promptscale.reporting.tables.tables7to16, promptscale.reporting.parameter_counts;"
        "print([name for name in ('jax', 'flax', 'tensorflow', 'seqio', 't5') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_figures_tables_and_claims_say_how_many_runs_diverged(make_runs):
    runs = make_runs()
    context = made(runs)
    assert "diverged" not in context.caption(figure1.data(context))
    stopped = runs[(runs["metric"] == "loss") & (runs["step"] == 200) & (runs["seed"] == 1)]
    stopped = stopped[stopped["task"] == "boolq"].assign(metric="diverged", value=1.0)
    context = made(pd.concat([runs, stopped], ignore_index=True))
    # Three sizes, two prompt lengths and model tuning.
    assert context.caption(context.runs).endswith("; 9 runs diverged")
    data = figure1.data(context)
    counts = data["diverged"].str.split().str.len()
    assert counts[data["seed"] == 1].eq(1).all() and counts[data["seed"] != 1].eq(0).all()
    assert context.caption(data).endswith("; 6 runs diverged")
    # A run of the default setting is in several panels and counts once.
    assert context.caption(figure3.data(context, ["prompt_length"])).endswith("; 6 runs diverged")


def test_the_papers_curves_stand_beside_its_sizes(make_runs):
    """They are thin, in the colour of our curve of the same name, and at the paper's values."""
    data = figure1.data(made(make_runs(**PAPERS)))
    printed = data[data["method"] == "prompt_tuning (paper)"]
    assert printed["score"].tolist() == [58.6, 63.8, 75.8, 80.3, 89.8]
    assert printed["size"].tolist() == list(PAPER_SIZES)
    axes = figure1.draw(made(), data).axes[0]
    thin = [line for line in axes.lines if line.get_linewidth() < 1 and line.get_zorder() == 1]
    assert len(thin) == 3 and all(line.get_marker() == "None" for line in thin)
    green = next(line for line in thin if line.get_color() == style.GREEN)
    np.testing.assert_allclose(green.get_ydata(), printed["score"])
    assert "Thin Lines: the Paper" in axes.get_legend_handles_labels()[1]


def test_the_papers_curves_stand_beside_other_sizes_on_request_alone(make_runs):
    runs = make_runs(tasks=SUPER_GLUE)
    assert not figure1.data(made(runs))["method"].str.contains("paper").any()
    context = made(runs, paper_curves=True)
    data = figure1.data(context)
    assert {"model_tuning (paper)", "model_tuning"} <= set(data["method"])
    note = "Miniature (generated data, three tiny T5s): not the paper's results"
    assert note in texts(figure1.draw(context, data))
    few = made(make_runs(tasks=("boolq",)), paper_curves=True)
    assert set(figure1.data(few)["method"]) == {"prompt_tuning", "model_tuning"}


@pytest.mark.parametrize(
    ("axis", "curves", "last"),
    [
        ("prompt_length", {"1", "5", "20", "100", "150"}, 82.5),
        ("initialization", {"random_uniform", "sampled_vocab", "class_label"}, 89.8),
        ("lm_adaptation_steps", {"0", "10000", "50000", "100000"}, 89.8),
    ],
)
def test_figure3s_panels_have_the_papers_curves_under_our_names(make_runs, axis, curves, last):
    data = figure3.data(made(make_runs(lengths=(20,), **PAPERS)), [axis])
    printed = data[data["curve"].str.endswith(" (paper)")]
    assert set(printed["curve"].str.removesuffix(" (paper)")) == curves
    xxl = printed[printed["size"] == "xxl"].set_index("curve")["score"]
    first = {"prompt_length": "1", "initialization": "class_label"}.get(axis, "100000")
    assert xxl[f"{first} (paper)"] == pytest.approx(last)
    (axes,) = figure3.draw(made(), data).axes
    assert "Thin Lines: the Paper" in axes.get_legend_handles_labels()[1]
