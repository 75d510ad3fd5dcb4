"""The tables show our numbers beside the paper's and say where and why they differ."""

import csv

import pandas as pd
import pytest

from promptscale.config.tasks import MRQA, SUPER_GLUE, TASKS
from promptscale.errors import ResultsError
from promptscale.reporting import runs_table
from promptscale.reporting.comparisons import by_size
from promptscale.reporting.context import Context
from promptscale.reporting.neighbours import write as write_neighbours
from promptscale.reporting.runs_table import columns
from promptscale.reporting.tables import (
    dataset_statistics,
    domain_shift,
    neighbours,
    scores,
    table3,
    table4,
    table5,
    table6,
    throughput,
)
from promptscale.reporting.tables.registry import BUILDERS, write_table
from promptscale.reporting.tables.table import Table, latex, markdown, write
from tests.reporting.conftest import MINIATURE, PAPER, made, run_rows

COUNTS = """\
task,split,examples,label,count
boolq,train,9427,False,3553
boolq,train,9427,True,5874
rte,train,2490,entailment,1249
rte,train,2490,not_entailment,1241
copa,train,400,choice1,195
copa,train,400,choice2,205
cb,train,200,contradiction,100
cb,train,200,entailment,100
record,train,138854,,0
wsc,train,259,True,259
"""


@pytest.fixture
def counted(tmp_path):
    path = tmp_path / "statistics.csv"
    path.write_text(COUNTS)
    return path


def test_a_table_in_three_formats(tmp_path):
    table = Table(
        number=7,
        title="50% & more",
        records=[{"Name": "a_b", "Count": 1234}, {"Name": "c|d", "Count": None}],
        notes=("† 1 ± 2.",),
    )
    paths = write(table, tmp_path / "new" / "table")
    assert [path.suffix for path in paths] == [".csv", ".md", ".tex"]
    with paths[0].open() as file:
        assert list(csv.reader(file)) == [["Name", "Count"], ["a_b", "1234"], ["c|d", ""]]
    assert "| a_b  | 1,234 |" in paths[1].read_text()
    assert r"| c\|d |     – |" in paths[1].read_text()
    tex = paths[2].read_text()
    assert r"\caption{50\% \& more}" in tex
    assert r"\begin{tabular}{lr}" in tex
    assert r"a\_b & 1,234 \\" in tex
    assert r"$^\dagger$ 1 $\pm$ 2." in tex
    assert all(rule in tex for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert not list(tmp_path.rglob("*.partial"))


def test_table4_marks_the_papers_misprints():
    table = table4.build(made())
    text = markdown(table)
    assert sum("†" in str(cell) for row in table.rows for cell in row) == len(table.notes) == 6
    assert "10,420†" in text
    assert "0.01907%†" in text
    assert "11,137,380,352†" in text
    assert "right is 11,135,537,152" in text
    assert latex(table).count(r"\\") == 31


def test_table5_is_the_first_time_within_one_percent(make_runs):
    runs = make_runs(seeds=(0, 1, 2), sizes=("mini-small",), lengths=(20,))
    seconds = table5.convergence(made(runs))
    # Scores 50, 51, 52 at step 200: 99% of their mean is 50.49, which seed 0 never reaches.
    times = dict(zip(seconds["seed"], seconds["seconds"], strict=True))
    assert times == pytest.approx({0: float("nan"), 1: 7201.0, 2: 7202.0}, nan_ok=True)
    table = table5.build(made(runs))
    assert table.rows == ((20, "mini-small", "2:00:02 ± 0:00:01", "1:00:00", "2 of 3"),)
    assert "Miniature" in table.title
    runs["wall_seconds"] /= 1000
    brief = table5.build(made(runs))
    assert brief.columns[2] == "Time (s)" and brief.rows[0][2] == "7.20 ± 0.00"


def test_table5_shows_the_papers_times_where_it_has_them(make_runs):
    runs = make_runs(sizes=("xl", "small"), lengths=(1, 20), seeds=(0,), source=PAPER)
    table = table5.build(made(runs))
    assert [row[:2] for row in table.rows] == [(1, "small"), (1, "xl"), (20, "small"), (20, "xl")]
    assert [row[-1] for row in table.rows] == [None, "3:37 ± 02:11", None, "49:08 ± 18:53"]
    assert table.rows[0][2] == "2:00:00"
    assert "Miniature" not in table.title
    with pytest.raises(ResultsError, match="no prompt tuning on rte"):
        table5.build(made(runs, convergence_task="rte"))


def test_table5_is_of_the_configured_task(make_runs, setting, tmp_path):
    runs_table.write_runs([make_runs(sizes=("mini-small",))], tmp_path / "runs.csv")
    context = Context.of({"runs": tmp_path / "runs.csv"}, setting, {}, convergence_task="squad")
    write_table("table5", context, tmp_path / "table5")
    assert "Runtime until convergence on SQuAD" in (tmp_path / "table5.md").read_text()


def test_an_unknown_or_impossible_table_is_a_sentence(setting, tmp_path):
    context = Context.of({"runs": tmp_path / "runs.csv"}, setting, {})
    with pytest.raises(
        ResultsError, match="There is no table 'table17'; there are scores, table1, "
    ):
        write_table("table17", context, tmp_path / "table17")
    with pytest.raises(ResultsError, match="The table 'serving' is needed; there are runs"):
        write_table("serving", context, tmp_path / "serving")


def of_datasets(counted, source) -> dict[str, Table]:
    """Tables 7 to 16 of results of this origin and label."""
    runs = counted.with_name("runs.csv")
    pd.DataFrame([source._asdict()]).to_csv(runs, index=False)
    context = made(tables={"datasets": counted, "runs": runs})
    return {f"table{number}": BUILDERS[f"table{number}"](context) for number in range(7, 17)}


def test_tables_7_to_16_mark_what_differs(counted):
    tables = of_datasets(counted, PAPER)
    sizes = {row[0]: row[1:] for row in tables["table7"].rows}
    assert sizes["BoolQ"] == (9427, None, None, 9427, 3270, 3245)
    assert sizes["CB"][0] == "200‡"
    assert sizes["ReCoRD"][0] == "138,854‡"
    assert any("queries" in note for note in tables["table7"].notes)
    assert tables["table8"].rows[0] == ("Training", "37.7", "62.3", "37.7", "62.3")
    assert tables["table8"].rows[1] == ("Validation", None, None, "37.8", "62.2")
    assert tables["table9"].rows[0][1:4] == ("50.0‡", "50.0‡", "0.0‡")
    assert tables["table10"].rows[0][1:3] == ("48.8", "51.2")
    assert tables["table13"].rows[0][1:3] == ("0.0", "100.0")


def test_table14s_misprint_is_noted(counted):
    table = of_datasets(counted, PAPER)["table14"]
    assert table.rows[0] == ("Training", "50.2", "49.8", "51.2†", "49.8")
    assert any("51.2" in note and "50.2" in note for note in table.notes)


def test_generated_rows_are_not_compared(counted):
    tables = of_datasets(counted, MINIATURE)
    for table in tables.values():
        assert "miniature" in table.title
        assert any("generated" in note for note in table.notes)
        assert not any("‡" in str(cell) for row in table.rows for cell in row)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chess,train,1,,0", "line 12: task is 'chess'; the tasks are boolq"),
        ("cb,dev,1,,0", "split is 'dev'; it must be train, validation or test"),
        (
            "cb,train,200,entailment,1",
            "label is 'entailment'; a line before has the same task, split, label",
        ),
        ("cb,train,200,neutral,-1", "count is '-1'; it must be 0 or more"),
        ("cb,train,201,neutral,1", "cb train two different numbers of examples"),
    ],
)
def test_bad_statistics_are_named(counted, line, message):
    counted.write_text(COUNTS + line + "\n")
    with pytest.raises(ResultsError) as caught:
        dataset_statistics.read(counted)
    assert message in str(caught.value)
    assert str(counted) in str(caught.value)


def test_clock():
    assert [table5.clock(seconds) for seconds in (0.4, 59.6, 3600.0, 36061.0)] == [
        "0:00:00", "0:01:00", "1:00:00", "10:01:01",
    ]  # fmt: skip


def shifted_runs(make_runs, train: str, others: tuple[str, ...], source=MINIATURE):
    """Both methods trained on `train`: 60 + seed and, on other tasks, 50 + seed (prompts + 2)."""
    size = "mini-xxl" if source == MINIATURE else "xxl"
    runs = make_runs(sizes=(size,), tasks=(train,), lengths=(20,), source=source)
    scores = runs[runs["selected"] & (runs["metric"] == "score")].copy()
    prompts = scores["method"] == "prompt_tuning"
    parts = []
    for task in (train, *others):
        for metric in (*TASKS[task].metrics, "score"):
            value = (60 if task == train else 50) + scores["seed"] + 2.0 * prompts
            parts.append(scores.assign(eval_task=task, metric=metric, value=value))
    return pd.concat(parts, ignore_index=True)[columns()]


def test_table1_has_both_methods_on_every_set(make_runs):
    table = domain_shift.table1(made(shifted_runs(make_runs, "squad", MRQA)))
    assert [row[0] for row in table.rows][:2] == ["SQuAD", "TextbookQA"]
    assert table.rows[0][2:6] == ("61.0 ± 1.0", "63.0 ± 1.0", "+2.0", "3, 3")
    assert table.rows[1][2:9] == (
        "51.0 ± 1.0", "53.0 ± 1.0", "+2.0", "3, 3", "54.3 ± 3.7", "66.8 ± 2.9", "+12.5",
    )  # fmt: skip
    assert "not the paper's results" in table.title and len(table.rows) == 7
    assert table.notes[0] == "Model: mini-xxl." and "for orientation" in table.notes[1]
    assert r"\begin{tabular}{llrrrrrrr}" in latex(table)  # differences stand to the right, too


def test_table1_measures_the_difference_from_the_paper_in_its_sds(make_runs):
    table = domain_shift.table1(made(shifted_runs(make_runs, "squad", MRQA, PAPER)))
    textbookqa = dict(zip(table.columns, table.rows[1], strict=True))
    assert textbookqa["Model (sds)"] == f"{(51 - 54.3) / 3.7:+.1f}"
    assert "not the paper's" not in table.title
    assert table.notes[0] == "Model: xxl." and table.notes[1].startswith("sds: ")


def test_table1_names_a_missing_set(make_runs):
    with pytest.raises(ResultsError, match="no F1 on drop for Table 1"):
        domain_shift.table1(made(shifted_runs(make_runs, "squad", MRQA[:-1])))


def test_table2_has_both_directions(make_runs):
    runs = pd.concat([
        shifted_runs(make_runs, "qqp", ("mrpc",)), shifted_runs(make_runs, "mrpc", ("qqp",)),
    ])  # fmt: skip
    table = domain_shift.table2(made(runs))
    assert [row[:3] for row in table.rows] == [
        ("QQP", "MRPC", "Model"), ("QQP", "MRPC", "Prompt"),
        ("MRPC", "QQP", "Model"), ("MRPC", "QQP", "Prompt"),
    ]  # fmt: skip
    assert table.rows[1][3:8] == ("53.0 ± 1.0", "53.0 ± 1.0", 3, "76.3 ± 0.1", "84.3 ± 0.3")


def test_table3_is_the_mean_the_best_and_the_vote(make_runs):
    single = make_runs(
        sizes=("mini-xxl",), tasks=SUPER_GLUE, lengths=(20,), seeds=(0, 1, 2, 3, 4), methods=()
    )
    voted = single[(single["seed"] == 0) & single["selected"]].assign(
        method="prompt_ensemble", value=58.5
    )
    voted["run"] = "ensemble/" + voted["run"]
    table = table3.build(made(pd.concat([single, voted])))
    assert table.rows[0][:5] == ("BoolQ (acc.)", "52.0 ± 1.6", "54.0", "58.5", 5)
    assert table.rows[-1] == (
        "SuperGLUE (dev)", "52.0 ± 1.6", "54.0", "58.5", 5, "90.5", "91.0†", "91.3",
    )  # fmt: skip
    assert any("average 91.06" in note for note in table.notes)
    assert "Model: mini-xxl." in table.notes


def test_table3s_best_prompt_is_that_of_the_task_score(make_runs):
    """On CB another prompt has the best accuracy; that of the best prompt is shown."""
    single = make_runs(sizes=("mini-xxl",), tasks=SUPER_GLUE, lengths=(20,), methods=())
    cb = single["selected"] & (single["task"] == "cb")
    for metric, values in {"accuracy": (90.0, 60.0, 60.0), "f1_macro": (10.0, 80.0, 60.0),
                           "score": (50.0, 70.0, 60.0)}.items():  # fmt: skip
        for seed, value in enumerate(values):
            single.loc[cb & (single["metric"] == metric) & (single["seed"] == seed), "value"] = (
                value
            )
    voted = single[single["selected"] & (single["seed"] == 0)].assign(method="prompt_ensemble")
    voted["run"] = "ensemble/" + voted["run"]
    table = table3.build(made(pd.concat([single, voted])))
    rows = {row[0]: row[1:4] for row in table.rows}
    assert rows["CB (acc.)"] == ("70.0 ± 17.3", "60.0", "90.0")
    assert rows["CB (F1)"] == ("50.0 ± 36.1", "80.0", "10.0")
    # The mean over tasks of the best prompts' scores: seven of 52 and CB's 70.
    assert rows["SuperGLUE (dev)"][1] == f"{(7 * 52 + 70) / 8:.1f}"


def test_tables_are_of_the_largest_size_that_has_the_runs(make_runs):
    """Domain shift at two sizes, and plain SQuAD at a larger one."""
    shifted = shifted_runs(make_runs, "squad", MRQA)
    runs = pd.concat([
        shifted.assign(size="mini-small", value=1.0, run="small/" + shifted["run"]),
        shifted.assign(size="mini-large", run="large/" + shifted["run"]),
        make_runs(sizes=("mini-xxl",), tasks=("squad",), lengths=(20,)),
    ])  # fmt: skip
    table = domain_shift.table1(made(runs))
    assert table.rows[1][2] == "51.0 ± 1.0"
    assert "Model: mini-large." in table.notes


def test_table6_shows_what_was_tried_and_what_was_best(tmp_path):
    trials = pd.DataFrame({
        "trial": [1, 2], "method": "prompt_tuning", "size": "mini-base",
        "learning_rate": [0.3, 0.05],
        "parameter_scaling": [False, True], "batch_size": [32, 64], "steps": [20_000, 10_000],
        "warmup_steps": [0, 2000], "decay_factor": [None, 0.1], "steps_per_decay": [4000, 4000],
        "score": [60.0, 40.0], "diverged": [0, 2], **MINIATURE._asdict(),
    })  # fmt: skip
    trials.iloc[::-1].to_csv(tmp_path / "trials.csv", index=False)
    table = table6.build(made(tables={"trials": tmp_path / "trials.csv"}))
    assert "2 trials of prompt tuning, 1 of which diverged; the best has a mean" in table.title
    rows = {row[0]: row[2:] for row in table.rows}
    assert rows["Learning Rate"] == ("0.05–0.3", "0.3")
    assert rows["Parameter Scaling"] == ("False, True", "False")
    assert rows["Number of Steps"] == ("10,000, 20,000", "20,000")
    assert rows["Warmup Steps"] == ("off, 2,000", "off")
    assert rows["Decay Factor"] == ("off, 0.1", "off")
    assert "126" in table.notes[0]
    models = trials.assign(trial=[3, 4], method="model_tuning", score=[50.0, 70.0], diverged=0)
    pd.concat([trials, models]).to_csv(tmp_path / "trials.csv", index=False)
    table = table6.build(made(tables={"trials": tmp_path / "trials.csv"}))
    assert "2 trials of model tuning; the best has a mean score of 70.0" in table.title
    assert table.rows[0][-2:] == ("0.3", "0.05")  # the best learning rate of each method
    assert table.notes[-1] == "The best score of model tuning by batch size: 32: 50.0, 64: 70.0."


def test_interpretability_by_size_and_initialisation():
    row = {
        "size": "mini-xxl", "task": "cb", "initialization": "class_label", "prompt_length": 20,
        "seed": 0, **MINIATURE._asdict(), "labels": 3, "labels_persisting": 3, "labels_found": 3,
        "rows_per_label": 1.0, "duplicates": 0.5, "duplicates_random": 0.2,
        "cohesion": 0.4, "cohesion_random": 0.1,
    }  # fmt: skip
    other = {"initialization": "random_uniform", "labels_persisting": 0, "size": "mini-small"}
    frame = pd.DataFrame([row, row | {"seed": 1, "labels_persisting": 0}, row | other])
    table = neighbours.build(made(neighbours=frame))
    assert [cells[:4] for cells in table.rows] == [
        ("mini-small", "Random Uniform", 20, "0.0"), ("mini-xxl", "Class Label", 20, "50.0 ± 70.7"),
    ]  # fmt: skip
    longer = pd.concat([frame, frame.assign(prompt_length=40, duplicates=0.9)])
    shared = [(row["Prompt Length"], row["Shared (%)"])
              for row in neighbours.build(made(neighbours=longer)).records]  # fmt: skip
    assert [pair[0] for pair in shared] == [20, 40, 20, 40] and shared[1][1] == "90.0"
    assert table.number is None and not markdown(table).startswith("**Table")
    assert "setcounter" not in latex(table)


def test_serving_shows_the_gain(tmp_path):
    frame = pd.DataFrame({
        "size": "mini-xxl", "work": ["tasks", "ensemble"], "prompts": [8, 5], "requests": 512,
        "per_prompt": 4, "identical": 1.0, "together_per_second": 300.0,
        "separate_per_second": 100.0, "device": "NVIDIA H200", **MINIATURE._asdict(),
    })  # fmt: skip
    frame.to_csv(tmp_path / "serving.csv", index=False)
    table = throughput.build(made(tables={"serving": tmp_path / "serving.csv"}))
    assert table.rows == (
        ("8, a task each", 32, 4, "100.0%", 300, 100, "3.00", "NVIDIA H200"),
        ("5, an ensemble", 20, 4, "100.0%", 300, 100, "3.00", "NVIDIA H200"),
    )


def test_the_claims_see_the_default_length_and_the_table_sees_all(tmp_path, setting):
    row = {
        "size": "mini-xxl", "task": "cb", "initialization": "class_label", "prompt_length": 20,
        "seed": 0, **MINIATURE._asdict(), "labels": 3, "labels_persisting": 3, "labels_found": 3,
        "rows_per_label": 1.0, "duplicates": 0.5, "duplicates_random": 0.2,
        "cohesion": 0.4, "cohesion_random": 0.1,
    }  # fmt: skip
    path = tmp_path / "interpretability.csv"
    write_neighbours(pd.DataFrame([row, row | {"prompt_length": 40}]), path)
    context = Context.of({"interpretability": path}, setting, {})
    assert context.neighbours["prompt_length"].tolist() == [20]
    assert [record["Prompt Length"] for record in neighbours.build(context).records] == [20, 40]


def test_scores_of_other_domains_alone_are_a_sentence():
    rows = run_rows("prompt_tuning", "mini-small", "squad", 0, 50.0, eval_tasks=("drop",))
    context = made(pd.DataFrame(rows, columns=columns()))
    with pytest.raises(ResultsError, match="no run of the configurations"):
        by_size(context, context.scores.assign(curve="prompts"), "curve")


def test_scores_of_all_settings_by_size(make_runs):
    runs = make_runs(sizes=("mini-large", "mini-small"), tasks=("boolq",))
    more = make_runs(sizes=("mini-small",), seeds=(0,), tasks=("squad",), methods=("model_tuning",))
    table = scores.build(made(pd.concat([runs, more[more["method"] == "model_tuning"]])))
    assert table.title.startswith("Dev scores of all settings. Miniature (generated data, two tiny")
    assert list(table.columns) == [
        "Method", "Trained on", "Evaluated on", "Checkpoint", "Prompt length", "Initialization",
        "mini-small", "mini-large", "Constant answer",
    ]  # fmt: skip
    boolq, squad = ("boolq", "boolq"), ("squad", "squad")
    tuned, prompted = ("model_tuning",), ("prompt_tuning",)
    assert table.rows == (
        (*tuned, *boolq, "span_corruption", None, None, "66.0 ± 1.0", "56.0 ± 1.0", "42.5"),
        (*tuned, *squad, "span_corruption", None, None, "55.0", "–", "42.5"),
        (*prompted, *boolq, "lm_400", "1", "class_label", "51.0 ± 1.0", "41.0 ± 1.0", "42.5"),
        (*prompted, *boolq, "lm_400", "20", "class_label", "61.0 ± 1.0", "51.0 ± 1.0", "42.5"),
    )
