"""The benchmarks' worker, harness and report, with a trainer that computes nothing."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmarks.cases import Case, generated_batch, initial_prompt
from benchmarks.harness import (
    OURS,
    ROOT,
    Comparison,
    Interpreters,
    Variant,
    measure,
    operations,
    positions,
    ratios,
    summary,
)
from benchmarks.run import arguments
from benchmarks.suite import Material, on_cpu, on_gpu
from benchmarks.superglue import LENGTHS, generate, sample

from benchmarks import report
from promptscale.errors import ConfigError, ResultsError
from promptscale.planning.flops import forward

ARCHITECTURE = {"d_model": 16, "d_ff": 32, "num_encoder_layers": 1, "num_decoder_layers": 1,
                "num_heads": 1, "head_dim": 16, "vocab_size": 512}  # fmt: skip
TRAINER = """
import os

def prepare(case):
    if case["name"] == "broken":
        raise ValueError("there is nothing to compute")
    turns = open(case["weights"], "a")
    def repeat():
        print("a library that prints")
        print(case["name"], file=turns, flush=True)
        return {"losses": [1.5], "positions": 20}
    return repeat

def versions():
    return {"fake": "1.0"}
"""


def case(name: str = "case", weights: str = "", **changes) -> Case:
    batches = [[generated_batch([(5, 2), (3, 2)])]]
    values = {"architecture": ARCHITECTURE, "batches": batches, "prompt_length": 4, **changes}
    return Case(name=name, weights=weights, **values)


@pytest.fixture
def interpreters(tmp_path, monkeypatch) -> Interpreters:
    """Workers that find the fake trainer as `benchmarks.fake`."""
    folder = tmp_path / "code/benchmarks"
    folder.mkdir(parents=True)
    for name in ("__init__", "worker"):
        (folder / f"{name}.py").write_bytes((ROOT / f"benchmarks/{name}.py").read_bytes())
    (folder / "fake.py").write_text(TRAINER)
    monkeypatch.setattr("benchmarks.harness.ROOT", tmp_path / "code")
    return Interpreters({"fake": sys.executable, "absent": ""}, tmp_path / "logs")


def compare(interpreters, repetitions=3, alternating=True, **variants):
    comparison = Comparison(
        name="name",
        title="title",
        variants=variants,
        reference="a",
        repetitions=repetitions,
        alternating=alternating,
    )
    return measure(comparison, interpreters, time.monotonic() + 60)


def test_variants_take_turns(interpreters, tmp_path):
    turns = tmp_path / "turns"
    pair = {name: Variant("fake", case(name, str(turns))) for name in ("a", "b")}
    results = compare(interpreters, **pair)
    order = turns.read_text().split()
    assert sorted(order[:2]) == ["a", "b"]  # both prepare at the same time
    assert order[2:] == ["a", "b"] * 3
    assert len(results["variants"]["a"]["seconds"]) == 3
    assert results["variants"]["a"]["peak_bytes"] > 0
    assert set(results["ratios"]) == {"b"}


def test_variants_run_one_after_another_where_memory_holds_one(interpreters, tmp_path):
    turns = tmp_path / "turns"
    pair = {name: Variant("fake", case(name, str(turns))) for name in ("a", "b")}
    compare(interpreters, alternating=False, **pair)
    assert turns.read_text().split() == ["a"] * 4 + ["b"] * 4


def test_a_broken_variant_leaves_the_others_their_results(interpreters, tmp_path):
    turns = str(tmp_path / "turns")
    results = compare(
        interpreters, a=Variant("fake", case("a", turns)), b=Variant("fake", case("broken", turns))
    )
    assert results["variants"]["b"]["error"] == "ValueError: there is nothing to compute"
    assert len(results["variants"]["a"]["seconds"]) == 3
    assert results["ratios"] == {}


def test_a_trainer_without_an_environment_is_left_out(interpreters, tmp_path):
    turns = str(tmp_path / "turns")
    results = compare(
        interpreters, a=Variant("fake", case("a", turns)), b=Variant("absent", case("b", turns))
    )
    assert list(results["variants"]) == ["a"]


def test_the_worker_answers_one_line_for_each_line(interpreters, tmp_path):
    question = json.dumps(case("a", str(tmp_path / "turns")).as_json())
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker", "fake"],
        cwd=tmp_path / "code", input=f"{question}\n{{}}\n", capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    start, repetition = map(json.loads, run.stdout.splitlines())
    assert start["versions"] == {"fake": "1.0"}
    assert repetition["losses"] == [1.5]
    assert "a library that prints" in run.stderr


def test_a_ratio_is_of_repetitions_that_followed_each_other():
    rows = {"a": {"seconds": [1.0, 2.0, 4.0]}, "b": {"seconds": [2.0, 2.0, 12.0]}}
    assert ratios(rows, "a") == {"b": {"median": 2.0, "least": 1.0, "greatest": 3.0}}
    assert ratios(rows, "absent") == {}


def test_operations_and_positions_count_real_lengths():
    work = case()
    architecture = report_architecture()
    expected = sum(forward(architecture, 4 + inputs, 2).step("inputs") for inputs in (5, 3))
    assert operations(work) == expected
    assert positions(work) == (4 + 5 + 2) + (4 + 3 + 2)
    assert positions(case(mode="full")) == positions(work) - 8


def report_architecture():
    from promptscale.config.sizes import ModelConfig

    return ModelConfig(**ARCHITECTURE)


def results_of(**changes):
    answers = [
        {"seconds": 9.0, "first": {"losses": [1.0], "positions": 40}, "versions": {"x": "1"}}
    ]
    answers += [{"seconds": 2.0, "cpu_seconds": 4.0, "peak_bytes": 10**9}]
    rows = {OURS: summary(case(), answers), "PEFT": summary(case(), [{"error": "no memory"}])}
    comparison = {"name": "n", "title": "a step", "load": [0.5, 0.6], "reference": OURS,
                  "variants": rows, "ratios": ratios(rows, OURS)}  # fmt: skip
    machine = {"processor": "p", "cores_used": 2, "extensions": []}
    return {"accelerator": "cpu", "date": "2026-01-01", "machine": machine, "weights": "random",
            "examples": "random", "comparisons": [comparison], "not_measured": ["dense"],
            **changes}  # fmt: skip


def test_the_report_shows_times_faults_and_what_was_not_measured():
    tables = report.render(results_of())
    assert "| a step: promptscale | 2 | 1 |" in tables
    assert "| 50 % | 1.00 | 1 |" in tables  # 20 of 40 positions are real; 1 GB
    assert "| a step: PEFT | no memory |" in tables
    assert "Not measured, as the time was over: dense." in tables


def test_the_report_replaces_what_is_between_the_markers_alone():
    document = "before\n<!-- benchmarks: cpu -->\nold\n<!-- end of benchmarks -->\nafter\n"
    changed = report.insert(document, "cpu", "new")
    assert changed == document.replace("\nold\n", "\n\nnew\n\n")
    with pytest.raises(ResultsError, match="no line '<!-- benchmarks: gpu -->'"):
        report.insert(document, "gpu", "new")


@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_a_file_without_results_is_refused(tmp_path, content):
    path = tmp_path / "cpu.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ResultsError, match="is not a file of results"):
        report.read(path)


def test_generated_lengths_have_the_stated_statistics():
    tasks = generate(400)
    for name, (_, _, shortest, longest, targets) in LENGTHS.items():
        lengths = [len(inputs) for inputs, _ in tasks[name]]
        assert shortest <= min(lengths) <= max(lengths) <= longest
        assert {len(ids) for _, ids in tasks[name]} == {targets}
    mean = sum(len(inputs) for inputs, _ in tasks["boolq"]) / 400
    assert 145 < mean < 170  # 155 in the real files


def test_a_sample_is_cut_and_ends_with_eos():
    batch = sample([(list(range(2, 12)), [5, 1]), ([7, 1], [6, 1])], 2, longest=4)
    assert sorted(map(len, batch["inputs"])) == [2, 4]
    assert all(ids[-1] == 1 for ids in batch["inputs"])


def test_trainers_start_from_the_same_prompt():
    assert (initial_prompt(3, 5, 8) == initial_prompt(3, 5, 8)).all()
    assert (initial_prompt(3, 5, 8) != initial_prompt(4, 5, 8)).any()


def test_the_peer_imports_nothing_of_promptscale():
    for name in ("cases", "peer", "worker"):
        assert "promptscale." not in Path(ROOT, f"benchmarks/{name}.py").read_text().replace(
            "`promptscale.", ""
        )


def test_the_arguments_have_the_time_of_their_accelerator():
    assert arguments([]).minutes == 30
    assert arguments(["--accelerator", "gpu"]).minutes == 8
    assert arguments(["--accelerator", "gpu"]).out == Path("results/benchmarks/gpu.json")
    with pytest.raises(ConfigError, match="must be at least 1"):
        arguments(["--minutes", "0"])


def test_every_comparison_has_a_name_of_its_own():
    material = Material(generate(64), "", 2)
    for comparisons in (on_cpu(material), on_gpu(material, ("small", "base"))):
        names = [comparison.name for comparison in comparisons]
        assert len(names) == len(set(names))


def test_many_runs_are_compared_with_the_same_examples_alone():
    material = Material(generate(64), "", 2)
    for comparison in on_cpu(material):
        if comparison.name.startswith("runs-"):
            together, separate = (variant.case for variant in comparison.variants.values())
            assert operations(together) == operations(separate)
            assert together.runs == int(comparison.name.rpartition("-")[2])
            assert separate.runs == 1
