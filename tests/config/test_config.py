"""The configuration: shipped files load, faults are named, jobs follow."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from promptscale.cli import app
from promptscale.config import grid, outputs
from promptscale.config.load import load_config, validate
from promptscale.config.schema import Config
from promptscale.config.settings import LmAdaptation, Optimizer
from promptscale.config.sizes import ModelConfig, parameter_counts
from promptscale.data.objectives import span_lengths
from promptscale.errors import ConfigError
from promptscale.planning.counts import run_table, trainings
from promptscale.reporting import runs_table

CONFIGS = Path(__file__).parents[2] / "config"
FILES = sorted(CONFIGS.glob("*.yaml"))
MINIATURE = yaml.safe_load((CONFIGS / "miniature.yaml").read_text())


def changed(path: str, value) -> dict:
    """The miniature's configuration with the value at a dotted path replaced."""
    content = json.loads(json.dumps(MINIATURE))
    *parents, last = path.split(".")
    place = content
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    return content


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_configuration_is_valid(path):
    assert grid.all_jobs(load_config(path))


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("taks", ["boolq"], "there is no key 'taks'; did you mean 'tasks'?"),
        ("prompt_tuning.prompt_lenght", 5, "did you mean 'prompt_length'?"),
        ("prompt_tuning.optimizer.momentum", 1, "there is no key 'prompt_tuning.optimizer.mom"),
        ("prompt_tuning.prompt_length", -1, "prompt_tuning.prompt_length is -1; it should be"),
        ("prompt_tuning.optimizer.learning_rate", "fast", "learning_rate is 'fast'; it should be"),
        ("prompt_tuning.optimizer.learning_rate", float("nan"), "should be a finite number"),
        ("prompt_tuning.initialization", {"method": "file"}, "method 'file' needs the key 'file'"),
        ("prompt_tuning.initialization", {"uniform_range": [1, 0]}, "low below high"),
        ("sizes", ["gigantic"], "sizes has 'gigantic'; known are small"),
        ("tasks", ["boolq", "cola"], "tasks has 'cola'; known are boolq"),
        ("seeds", [1, 1], "seeds has a value twice"),
        ("default_checkpoint", "lm_7", "default_checkpoint has 'lm_7'; known are span_corruption"),
        ("data", {"vocabulary": "x"}, "origin is 'generated', but data.generated is false"),
        ("pretraining", None, "pretraining is needed"),
        ("tasks", ["race"], "tasks has 'race'; known are boolq"),  # it has no training split
        ("ensembles.seeds", [5, 6], "ensembles.seeds must contain the seeds of all other runs"),
        ("domain_shift.sizes", ["xxl"], "domain_shift.sizes has 'xxl'; known are mini-small"),
        ("domain_shift.evaluate_on", {"squad": ["narrativeqa"]}, "has 'narrativeqa'; known are"),
        ("data.corpus_shards_used", 2, "data.corpus_shards_used is more than data.corpus_shards"),
        ("origin", "mars", "origin is 'mars'; it should be 'generated' or 'real'"),
        ("origin", "real", "origin is 'real', but data.generated is true; it must be 'generated'"),
        ("label", "two\nlines", "label is 'two\\nlines'; "),
        ("ablations", {"colour": [1]}, "ablations has 'colour'; known are prompt_length, init"),
        (
            "ablations",
            {"prompt_length": [0]},
            "ablations.prompt_length.0 is 0; it should be 1 or more",
        ),
        ("ablations", {"initialization": ["text"]}, "method 'text' needs the key 'text'"),
        (
            "ablations",
            {"lm_adaptation_steps": [7]},
            "ablations.lm_adaptation_steps with 7 has 'lm_7'; known are span",
        ),
    ],
)
def test_each_fault_is_one_sentence_that_names_the_key(path, value, sentence):
    with pytest.raises(ConfigError) as error:
        validate(Config, changed(path, value), "here")
    (line,) = str(error.value).splitlines()
    assert line.startswith("here: ") and sentence in line


def test_all_faults_are_named_at_once():
    content = changed("prompt_tuning.steps", 0) | {"colour": "red"}
    with pytest.raises(ConfigError) as error:
        validate(Config, content, "here")
    assert len(str(error.value).splitlines()) == 2


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent.yaml cannot be read"):
        load_config(tmp_path / "absent.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1, 2")
    with pytest.raises(ConfigError, match=r"broken.yaml is not valid YAML"):
        load_config(tmp_path / "broken.yaml")


def test_an_impossible_architecture_is_refused():
    with pytest.raises(ConfigError, match="num_heads is 0; it must be a positive whole number"):
        ModelConfig(d_model=4, d_ff=8, num_encoder_layers=1, num_decoder_layers=1, num_heads=0)


PAPER = yaml.safe_load((CONFIGS / "paper.yaml").read_text())


@pytest.fixture(scope="module")
def paper():
    return validate(Config, PAPER, "paper")


def test_the_papers_grid_has_its_number_of_runs(paper):
    """Section 3.2 and appendix A: 11 settings x 5 sizes x 8 tasks x 3 seeds, and what is beside."""
    assert trainings(paper) == {
        "prompt_tuning": 1320,
        "convergence": 15,  # length 50 on BoolQ
        "ensembles": 16,  # two more prompts for each task
        "model_tuning": 120,
        "model_tuning_multitask": 15,
        "domain_shift_prompt_tuning": 9,
        "domain_shift_model_tuning": 9,
        "language_modeling": 10,  # 10,000 and 50,000 steps were never released
    }
    names = [row["run"] for row in run_table(paper)]
    assert len(set(names)) == len(names)


def test_axes_are_the_default_and_one_thing_changed(paper):
    default, checkpoint = paper.prompt_tuning, paper.default_checkpoint
    axes = grid.prompt_settings(paper)
    assert {axis: len(settings) for axis, settings in axes.items()} == {
        "prompt_length": 5, "initialization": 3, "pretraining_objective": 3,
        "lm_adaptation_steps": 4,
    }  # fmt: skip
    for axis, settings in axes.items():
        assert (checkpoint, default) in settings
        for frozen, setting in settings:
            moved = {name for name, value in setting if value != getattr(default, name)}
            moved |= {"checkpoint"} if frozen != checkpoint else set()
            assert (
                moved
                <= {
                    "prompt_length": {"prompt_length"},
                    "initialization": {"initialization"},
                    "pretraining_objective": {"checkpoint", "sentinel"},
                    "lm_adaptation_steps": {"checkpoint"},
                }[axis]
            )


def test_released_checkpoints_are_used_and_the_others_trained(paper):
    assert grid.source(paper, "xl", "lm_100000").startswith("gs://")
    assert grid.source(paper, "xl", "span_corruption").endswith("t5_1_1_xl/checkpoint_1000000")
    trained = [
        checkpoint for _, checkpoint in outputs.checkpoints(paper) if checkpoint == "lm_10000"
    ]
    assert len(trained) == 5 and grid.source(paper, "xl", "lm_10000") == "train"
    job = grid.language_modeling_job(paper, "xl", "lm_50000")
    assert grid.start_of(paper, "lm_50000") == "lm_10000"
    assert (job.first_step, job.settings.steps) == (10_000, 40_000)


@pytest.mark.parametrize(("together", "jobs"), [(1, 24), (2, 16), (3, 8), (8, 4), (24, 1)])
def test_runs_are_the_same_however_they_are_grouped(together, jobs):
    content = changed("runs_per_job.prompt_tuning", together) | {"sizes": ["mini-small"]}
    content |= {"ablations": {}, "domain_shift": None, "ensembles": None, "convergence": None}
    content |= {"hyperparameter_search": None}
    config = validate(Config, content, "miniature")
    grouped = grid.prompt_jobs(config)
    names = sorted(job.run_name(run) for job in grouped for run in job.runs)
    assert len(grouped) == jobs and len(names) == len(set(names)) == 24
    assert all(len(job.runs) <= together for job in grouped)
    assert len({job.name for job in grouped}) == jobs


@pytest.mark.parametrize(
    ("label", "folder"), [("Miniature", "miniature"), ("T5 1.1", "t5-1.1"), ("../My T5!", "my-t5")]
)
def test_published_results_lie_in_a_folder_named_by_the_label(label, folder):
    config = validate(Config, changed("label", label), "")
    assert outputs.published_folder(config) == f"results/published/{folder}"


def test_a_changed_setting_changes_only_the_jobs_that_use_it():
    def specifications(content):
        jobs = grid.all_jobs(validate(Config, content, ""))
        return {name: job.model_dump_json() for name, job in jobs.items()}

    before, after = specifications(MINIATURE), specifications(changed("model_tuning.steps", 7))
    moved = {name for name in before if before[name] != after[name]}
    assert moved == {name for name in before if name.startswith("model_tuning/")}


SHIFTED = {"sizes": ["mini-xxl"], "evaluate_on": {"mrpc": ["qqp"], "squad": ["drop"]}}


@pytest.mark.parametrize("together", [1, 3, 24])
def test_a_task_of_the_grid_and_of_the_domain_shift_is_trained_once(together):
    """Its runs are jobs of the grid; only the default setting is evaluated on the other tasks."""
    content = changed("domain_shift", SHIFTED) | {"tasks": ["boolq", "mrpc"]}
    content["runs_per_job"] = {"prompt_tuning": together, "model_tuning": together}
    config = validate(Config, content, "here")
    jobs = grid.all_jobs(config)
    runs = [(job.run_name(run), job, run) for job in jobs.values() for run in job.runs]
    assert len({name for name, _, _ in runs}) == len(runs)
    shifted = {
        (job.method, run.task, run.seed, job.reported_tasks(run))
        for _, job, run in runs
        if len(job.reported_tasks(run)) > 1 and job.method != "model_tuning_multitask"
    }
    assert shifted == {
        (method, task, seed, (task, *others))
        for method in ("prompt_tuning", "model_tuning")
        for task, others in SHIFTED["evaluate_on"].items()
        for seed in (0, 1, 2)
    }
    named = {job.name for job in grid.domain_shift_jobs(config)}
    assert named == {job.name for job in jobs.values() if job.transfer_tasks}
    assert not any(job.transfer_tasks for job in grid.search_jobs(config))


def test_two_jobs_of_a_name_and_a_run_in_two_jobs_are_refused(paper):
    job, *_ = grid.prompt_jobs(paper)
    other = job.model_copy(update={"label": "another"})
    with pytest.raises(ConfigError, match=f"Two different jobs have the name {job.name}"):
        grid.check_names([job, job, other])
    part = job.model_copy(update={"seeds": job.seeds[:1]})
    with pytest.raises(ConfigError, match=f"is in two jobs, {job.name} and {part.name}"):
        grid.check_names([job, part])


@pytest.mark.parametrize(
    ("tasks", "name"),
    [
        (["boolq", "cb"], "boolq+cb"),
        (MINIATURE["tasks"], "superglue"),
        (MINIATURE["tasks"][::-1], "superglue"),
        ([*MINIATURE["tasks"], "mrpc"], "+".join([*MINIATURE["tasks"], "mrpc"])),
    ],
)
def test_a_mixture_is_named_by_its_tasks(tasks, name):
    config = validate(Config, changed("tasks", tasks), "here")
    rows = [row for row in run_table(config) if row["kind"] == "model_tuning_multitask"]
    assert {row["task"] for row in rows} == {name}


def test_a_job_of_many_seeds_has_a_name_that_a_file_system_takes():
    seeds = [2**31 - 1 - n for n in range(30)]
    content = changed("seeds", seeds) | {"ensembles": None}
    jobs = grid.all_jobs(validate(Config, content, "here"))
    assert max(len(part) for name in jobs for part in name.split("/")) < 200


def test_span_corruption_of_the_shortest_inputs_hides_a_span():
    shortest = LmAdaptation.model_fields["inputs_length"]
    (bound,) = {part.ge for part in shortest.metadata if hasattr(part, "ge") and part.ge > 2}
    assert span_lengths(bound - 1)[1] < 4 <= min(span_lengths(n)[1] for n in range(bound, 600))


def test_numbers_in_scientific_notation_need_no_full_stop():
    content = yaml.safe_load("learning_rate: 1e-3\nweight_decay: 1E5")
    assert content["learning_rate"] == "1e-3"  # PyYAML reads YAML 1.1
    optimizer = validate(Optimizer, content, "here")
    assert (optimizer.learning_rate, optimizer.weight_decay) == (0.001, 1e5)


def test_a_home_folder_is_found_and_a_path_is_normal(monkeypatch):
    monkeypatch.setenv("HOME", "/users/me")
    paths = {"results": "~/out/", "figures": "./figs//x", "state": "gs://bucket/~/state"}
    config = validate(Config, changed("paths", paths), "here")
    assert config.paths.results == "/users/me/out" and config.paths.figures == "figs/x"
    assert config.paths.state == "gs://bucket/~/state"


def test_several_faults_of_a_kind_are_several_lines_and_missing_keys_a_single():
    with pytest.raises(ConfigError) as error:
        validate(Config, changed("sizes", ["mini-small"]), "here")
    assert [line.split()[1] for line in str(error.value).splitlines()] == [
        "domain_shift.sizes", "ensembles.sizes", "hyperparameter_search.size",
    ]  # fmt: skip
    with pytest.raises(ConfigError) as error:
        validate(Config, {"sizes": ["small"]}, "here")
    assert str(error.value) == (
        "here: the keys 'origin', 'label', 'tasks', 'data', 'checkpoints', 'default_checkpoint', "
        "'prompt_tuning' are missing."
    )


def test_trials_stay_inside_a_narrow_range():
    space = {"learning_rate": [0.0012345, 0.0012346]}
    config = validate(Config, changed("hyperparameter_search.space", space), "here")
    rates = {optimizer.learning_rate for _, _, optimizer in grid.trials(config)}
    assert min(rates) >= 0.0012345 and max(rates) <= 0.0012346


def test_trials_of_model_tuning_need_its_settings():
    content = changed("hyperparameter_search.model_tuning_trials", 3) | {"model_tuning": None}
    with pytest.raises(ConfigError, match="model_tuning_trials needs the section model_tuning"):
        validate(Config, content, "here")


def test_search_trials_are_drawn_from_the_space_and_grouped_by_shape(paper):
    space, trials = paper.hyperparameter_search.space, grid.trials(paper)
    assert len(trials) == 40 and trials == grid.trials(paper)
    for batch_size, steps, optimizer in trials:
        low, high = space.learning_rate
        assert batch_size in space.batch_size and steps in space.steps
        assert low <= optimizer.learning_rate <= high
        assert optimizer.decay_factor in space.decay_factor
    jobs = grid.search_jobs(paper)
    prompts = [job for job in jobs if job.method == "prompt_tuning"]
    assert sorted(run.trial for job in prompts for run in job.runs) == sorted([*range(40)] * 8)
    assert len({(job.settings.batch_size, job.settings.steps) for job in prompts}) == len(prompts)
    models = [job for job in jobs if job.method == "model_tuning"]
    assert sorted((run.trial, run.task) for job in models for run in job.runs) == [
        (trial, task) for trial in range(37) for task in sorted(paper.tasks)
    ]
    rates = {job.runs[0].trial: job.optimizers[0].learning_rate for job in models}
    assert rates == {n: trials[n][2].learning_rate for n in range(37)}  # the same settings
    assert all(len(job.runs) == 1 and job.settings.pack for job in models)
    grid.check_names(jobs)
    assert not {job.name for job in jobs} & set(grid.all_jobs(paper))


def test_the_plan_command_prints_the_counts_and_writes_the_run_table(tmp_path):
    table = tmp_path / "runs.csv"
    arguments = ["plan", "--config", str(CONFIGS / "paper.yaml"), "--json", "--runs", str(table)]
    printed = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert printed["trainings"]["prompt_tuning"] == 1320
    assert printed["jobs"]["train_prompts"] == (1320 + 15 + 9) // 3 + 8
    rows = pd.read_csv(table)
    assert len(rows) == sum(printed["trainings"].values()) - 10
    assert rows["run"].is_unique


def test_the_parameters_command_prints_table_4():
    runner = CliRunner()
    arguments = ["parameters", "--size", "xxl", "--prompt-length", "50", "--json"]
    printed = json.loads(runner.invoke(app, arguments).stdout)
    assert printed == parameter_counts("xxl", 50)
    assert printed["trainable"] == 204_800 and printed["total"] == 11_135_537_152
    assert round(printed["percent"], 5) == 0.00184


def test_the_scores_command_prints_mean_and_spread_over_seeds(tmp_path):
    row = {
        "method": "prompt_tuning", "size": "mini-xl", "task": "boolq", "eval_task": "boolq",
        "checkpoint": "lm_7", "objective": "lm_adaptation", "adaptation_steps": 7,
        "pretraining_seed": 0,
        "prompt_length": 5, "initialization": "class_label", "step": 10, "metric": "score",
        "selected": True, "wall_seconds": 1.0, "accelerator_seconds": 1.0,
        "origin": "generated", "label": "Miniature",
    }  # fmt: skip
    values = [60.0, 70.0, 80.0]
    rows = [row | {"run": f"r{seed}", "seed": seed, "value": v} for seed, v in enumerate(values)]
    pd.DataFrame(rows)[runs_table.columns()].to_csv(tmp_path / "runs.csv", index=False)
    printed = CliRunner().invoke(app, ["scores", str(tmp_path / "runs.csv")]).stdout
    assert printed.splitlines()[1].split()[-3:] == ["70.0", "10.0", "3"]
    assert "not the paper's results" in printed
    for seed, row in enumerate(rows):  # the jobs of a grid that is not finished
        folder = tmp_path / "runs" / f"job{seed}"
        folder.mkdir(parents=True)
        pd.DataFrame([row])[runs_table.columns()].to_csv(folder / "metrics.csv", index=False)
    assert CliRunner().invoke(app, ["scores", str(tmp_path / "runs")]).stdout == printed


def test_commands_end_with_a_sentence_not_a_traceback():
    result = CliRunner().invoke(app, ["parameters", "--size", "huge"])
    assert result.exit_code != 0
    assert str(result.exception).startswith("promptscale: There is no size 'huge'")


def test_published_prompts_are_a_job_of_the_default_setting():
    """The authors' three prompts, of 100 tokens, on Base after 100K steps of adaptation."""
    config = load_config(CONFIGS / "published_prompts.yaml")
    job = grid.published_prompts_job(config)
    assert (job.size, job.checkpoint, job.prompt_length) == ("base", "lm_100000", 100)
    assert [run.task for run in job.runs] == ["sst2", "mrpc", "rte"]
    assert not grid.all_jobs(config).keys() & {job.name}  # `all` needs no published prompt
    missing = [sentence for sentence in outputs.missing_files(config) if "prompt of" in sentence]
    path = "pretrained_prompts/t5_1_1_lm100k_base/sst2.npy"
    assert len(missing) == 3
    assert missing[0] == f"the published prompt of sst2 is {path!r}, which does not exist."
    assert grid.published_prompts_job(load_config(CONFIGS / "paper.yaml")) is None
