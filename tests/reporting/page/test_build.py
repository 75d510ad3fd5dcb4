"""The page says what the tables say, escapes their texts, and asks for nothing from elsewhere."""

import json
import re
from html.parser import HTMLParser

import pytest

from promptscale.config.tasks import SUPER_GLUE
from promptscale.errors import ResultsError
from promptscale.reporting import paper
from promptscale.reporting.context import Context
from promptscale.reporting.figures import figure1
from promptscale.reporting.figures.style import short_count
from promptscale.reporting.page import charts
from promptscale.reporting.page.build import write_page
from promptscale.reporting.runs_table import write_runs
from tests.reporting.conftest import PAPER, SETTING
from tests.reporting.page.conftest import HOSTILE, OUTCOMES, RUN, make_page


class Document(HTMLParser):
    """The elements of a page with their attributes, and the data that its script reads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.data: dict = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        inside = bool(self.elements) and self.elements[-1][1].get("id") == "data"
        if inside and data.strip():
            self.data = json.loads(data)


@pytest.fixture(scope="module")
def document(page) -> Document:
    return Document(page.text)


def points(document, chart):
    return document.data["charts"][chart]["data"]["values"]


def test_a_chart_has_the_numbers_of_its_figure(page, document):
    data = figure1.data(page.context).groupby(["method", "size"])["score"]
    means, deviations = data.mean(), data.std()
    shown = [point for point in points(document, "figure1") if not point["paper"]]
    assert len(shown) == len(means) == 4
    for point in shown:
        key = {"Prompt Tuning": "prompt_tuning", "Model Tuning": "model_tuning"}[point["curve"]]
        assert point["mean"] == pytest.approx(means[key, point["size"]], abs=0.005)
        assert point["sd"] == pytest.approx(deviations[key, point["size"]], abs=0.005)
        assert point["n"] == 2


def test_the_papers_curves_are_there_and_hidden_where_the_models_are_not_the_papers(document):
    spec = document.data["charts"]["figure1"]
    assert spec["params"] == [{"name": "paper", "value": False}]
    printed = paper.curves(1).set_index(["curve", "size"])["mean"]
    shown = {
        point["size"]: point["mean"]
        for point in points(document, "figure1")
        if point["paper"] and point["curve"] == "Prompt Tuning"
    }
    assert shown == printed["prompt_tuning"].to_dict()
    papers = [point for point in points(document, "figure1") if point["paper"]]
    assumed = [point for point in papers if point["source"] == "the paper, assumed"]
    assert [(point["curve"], point["size"], point["mean"]) for point in assumed] == [
        ("Model Tuning", "xxl", 89.9)
    ]
    assert {point["n"] for point in papers} == {"–"}  # the paper does not say it of its figures
    # The name of a length that these results lack says that it is the paper's.
    lengths = {p["curve"] for p in points(document, "figure3a") if p["paper"]}
    assert {"1", "20 (default)", "150 (paper)"} <= lengths


def test_published_scores_of_gpt3_are_not_called_these_results(make_runs, page, tmp_path):
    runs = make_runs(sizes=("small", "xxl"), tasks=SUPER_GLUE, source=PAPER)
    write_runs([runs], tmp_path / "runs.csv")
    tables = {**page.context.tables, "runs": tmp_path / "runs.csv"}
    (chart,) = charts.charts(Context.of(tables, SETTING, {}), ["figure1"])
    sources = {(point["curve"].endswith("(GPT-3)"), point["source"]) for point in chart.points}
    assert (True, "Brown et al. (2020)") in sources and (False, "these results") in sources
    assert (True, "these results") not in sources


def test_the_axis_names_the_sizes_as_the_figures_do(document):
    x = document.data["charts"]["figure3a"]["encoding"]["x"]["axis"]
    for point in points(document, "figure3a"):
        lines = [point["size"].removeprefix("mini-"), short_count(point["parameters"])]
        assert f'"{point["parameters"]}": {json.dumps(lines)}' in x["labelExpr"]


def test_tables_are_in_the_order_of_their_numbers(document):
    names = [attributes.get("id") for tag, attributes in document.elements if tag == "details"]
    assert [name for name in names if name] == ["table4", "table10", "domain_words"]


def test_a_learning_curve_has_all_steps_and_the_selected_step(document):
    curve = next(
        curve
        for curve in document.data["curves"]
        if curve["run"] == RUN.format(size="mini-xxl", seed=1)
    )
    assert curve["steps"] == [100, 200, 300] and curve["selected"] == 200
    assert curve["score"] == [31.5, 63.0, 62.0] and curve["loss"] == [1.5] * 3
    assert len(document.data["curves"]) == 2 * 2 * 8 * 3


def test_counts_are_of_all_predictions_and_texts_of_the_examples(document):
    task = document.data["answers"]["boolq"]
    counts = {run["name"]: tuple(run["counts"]) for run in task["runs"]}
    assert counts == {RUN.format(size="mini-xxl", seed=s): OUTCOMES[s] for s in OUTCOMES}
    _, second = task["runs"]
    assert [task["texts"][place] for place in second["answers"]] == ["True", "False", HOSTILE]
    assert [document.data["outcomes"][place] for place in second["outcomes"]] == [
        "right", "wrong", "illegal",
    ]  # fmt: skip


def test_neighbours_are_of_the_default_length_and_the_lowest_seed(document):
    (prompt,) = document.data["neighbours"]
    assert prompt["seed"] == 0
    assert prompt["tokens"] == [
        ["True", [["▁True", 0.8, True], ["▁of", 0.7, False]]],
        ["", [["▁True", 0.8, True], ["▁of", 0.7, False]]],
    ]


def test_texts_of_results_are_no_markup_and_the_page_refers_to_no_other_file(page, document):
    assert HOSTILE not in page.text and "<b>bold</b>" not in page.text
    assert [attrs for tag, attrs in document.elements if tag == "script"] == [
        {"type": "application/json", "id": "data"}, {},
    ]  # fmt: skip
    for _, attributes in document.elements:
        for name in ("src", "href", "srcset", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:,"))
    assert "@import" not in page.text and "url(" not in page.text


def test_links_inside_the_page_and_labels_have_their_targets(document):
    names = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(names) == len(set(names))
    wanted = [
        attributes[key].removeprefix("#")
        for tag, attributes in document.elements
        for key in ("href", "for", "aria-labelledby")
        if tag != "link" and key in attributes
    ]
    assert len(wanted) > 20 and set(wanted) <= set(names)


def test_the_page_says_what_the_results_are_of_and_counts_the_verdicts(page):
    assert page.text.count("Miniature (generated data, two tiny T5s): not the paper") >= 2
    assert re.search(r"Claims that hold</dt><dd>35 of 36", page.text)
    assert re.search(r"Seeds of a setting</dt><dd>2</dd>", page.text)
    assert re.search(r"Tasks</dt><dd>8</dd>", page.text)
    assert "See claims." in page.text  # a link to a file that the page does not have


def test_equal_results_give_equal_bytes(page, tmp_path):
    write_page(page.context, page.sources, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.path.read_bytes()


def test_results_without_predictions_say_so(tmp_path):
    text = make_page(tmp_path, with_predictions=False).text
    assert "These results have no predictions." in text
    assert "These results have no lists of neighbours." in text


@pytest.mark.parametrize(
    ("table", "cell", "other", "words"),
    [
        ("predictions", '.*/20/1","boolq","2".*\n', "", "lacks the answer of the run"),
        ("outcomes", "prompt_tuning/mini-xxl/boolq/20/0", "x", "the run x on boolq"),
        ("claims", "1.5", "abc", "line 2: value is 'abc'; it must be a number"),
        ("claims", "value", "values", "lacks the column 'value'"),
    ],
)
def test_tables_that_do_not_agree_are_a_sentence(tmp_path, table, cell, other, words):
    page = make_page(tmp_path)
    path = page.context.tables.get(table, page.sources.claims)
    text = path.read_text()
    assert re.search(cell, text)
    path.write_text(re.sub(cell, other, text, count=1))
    context = Context(page.context.tables, page.context.default)
    with pytest.raises(ResultsError, match=re.escape(words)):
        write_page(context, page.sources, page.path)


def test_a_missing_table_is_named_and_leaves_no_page(tmp_path):
    page = make_page(tmp_path)
    page.path.unlink()
    page.sources.claims.unlink()
    with pytest.raises(ResultsError, match=r"claims\.csv is missing"):
        write_page(page.context, page.sources, page.path)
    assert not page.path.exists() and not list(tmp_path.glob("*.partial"))
