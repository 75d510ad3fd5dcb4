"""Configurations that `promptscale check` must refuse."""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.robustness.case import Case, command

_SMALLEST = Path(__file__).parents[1] / "workflow" / "smallest.yaml"
_OWN = {"d_model": 4, "num_heads": 1, "d_ff": 8, "num_encoder_layers": 1, "num_decoder_layers": 1}


def _changed(key: str, value: Any, sentence: str, **others: Any) -> Case:
    """The smallest configuration with the value at a dotted key replaced (`...`: removed).

    `others` are replaced too, with `__` for the dots of a key.
    """

    def write(folder: Path) -> None:
        content = json.loads(json.dumps(yaml.safe_load(_SMALLEST.read_text())))  # no aliases
        changes = {name.replace("__", "."): other for name, other in others.items()}
        for name, new in {**changes, key: value}.items():
            *parents, last = name.split(".")
            place = content
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = new
            if new is ...:
                del place[last]
        (folder / "bad.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    shown = str(value) if len(str(value)) < 80 else f"{str(value)[:80]} ..."
    further = f" with {', '.join(others)}" if others else ""
    return Case(f"{key}: {shown}{further}", _check, sentence, write)


def _written(name: str, content: str | bytes, sentence: str) -> Case:
    """A file with this content."""
    data = content.encode() if isinstance(content, str) else content
    return Case(name, _check, sentence, lambda folder: _put(folder / "bad.yaml", data))


def _put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _check(folder: Path) -> None:
    command("check", str(folder / "bad.yaml"))


_TEXT = {"method": "text", "text": "a text"}

_FILES = [
    Case("no such configuration", _check, "bad.yaml cannot be read: No such file"),
    Case(
        "a folder as configuration",
        _check,
        "bad.yaml cannot be read: Is a directory",
        lambda folder: (folder / "bad.yaml").mkdir(),
    ),
    _written("empty configuration", "", "is not a mapping of keys"),
    _written("a list as configuration", "- a\n- b\n", "is not a mapping of keys"),
    _written("unclosed bracket", "a: [1, 2", "is not valid YAML: .* line 1"),
    _written("tab in YAML", "a:\n\tb: 1", "is not valid YAML: .* line 2"),
    _written("two documents", "a: 1\n---\na: 2", "is not valid YAML"),
    _written("unknown YAML tag", "a: !!python/name:os.system x", "is not valid YAML"),
    _written("unknown anchor", "a: *b", "is not valid YAML: .*undefined alias"),
    _written("impossible date", "a: 2020-13-45", "is not valid YAML: month must be"),
    _written("deeply nested", "[" * 5000, "is not valid YAML"),
    _written("Latin-1", "label: T\n# ä\n".encode("latin-1"), "is not UTF-8 in line 2"),
    _written("UTF-16", "origin: real".encode("utf-16"), "is not UTF-8 in line 1"),
    _written("NUL character", "a: \0", "is not valid YAML"),
    _written(
        "a key twice",
        "seeds: [0]\nsizes: [x]\nseeds: [1]\n",
        "line 3 has the key 'seeds', which line 1",
    ),
    _written(
        "a nested key twice",
        "data:\n  generated: true\n  generated: false\n",
        "line 3 has the key 'gen",
    ),
    _written("a number as key", "1: 2\n", "there is the key 1, but a key is a text"),
    _written("an empty key", "? \n: 2\n", "there is the key empty, but a key is a text"),
    _written("a list as key", "[1]: 2\n", "is not valid YAML"),
    _written("an overlay", "sizes: [mini-small]\n", "the keys 'origin', 'label', .* are missing"),
]

_TYPES = [
    _changed("prompt_tuning.prompt_lenght", 5, "did you mean 'prompt_length'"),
    _changed("colour", "red", "there is no key 'colour'; the keys here are origin"),
    _changed("prompt_tuning.optimizer.momentum", 1, "the keys here are learning_rate"),
    _changed("prompt_tuning.steps", ..., "the key 'steps' is missing in prompt_tuning"),
    _changed("label", ..., "the key 'label' is missing"),
    _changed("seeds", [True], r"seeds.0 is true; it should be a whole number"),
    _changed("seeds", ["1"], r"seeds.0 is '1'; it should be a whole number"),
    _changed("seeds", [0.5], r"seeds.0 is 0.5; it should be a whole number"),
    _changed("seeds", 3, "seeds is 3; it should be a list"),
    _changed("seeds", {0: 1}, "seeds is .* it should be a list"),
    _changed("sizes", "mini-small", "sizes is 'mini-small'; it should be a list"),
    _changed("sizes", None, "sizes is empty; it should be a list"),
    _changed("sizes", [None], "sizes.0 is empty; it should be a text"),
    _changed("data", None, "data is empty; it should be a mapping"),
    _changed("data", [], "data is .*; it should be a mapping"),
    _changed("prompt_tuning", "default", "prompt_tuning is 'default'; it should be a mapping"),
    _changed("prompt_tuning.sentinel", "yes", "sentinel is 'yes'; it should be true or false"),
    _changed("prompt_tuning.sentinel", 1, "sentinel is 1; it should be true or false"),
    _changed("prompt_tuning.optimizer.learning_rate", "0.3", "is '0.3'; it should be a number"),
    _changed("prompt_tuning.optimizer.learning_rate", True, "is true; it should be a number"),
    _changed("prompt_tuning.z_loss", float("inf"), "it should be .*"),
    _changed("prompt_tuning.z_loss", float("nan"), "it should be a finite number"),
    _changed("label", 11, "label is 11; it should be a text"),
    _changed("origin", "mars", "origin is 'mars'; it should be 'generated' or 'real'"),
    _changed("prompt_tuning.activations", "float16", "it should be 'float32' or 'bfloat16'"),
    _changed(
        "prompt_tuning.optimizer.step_offset", "begin", "it should be 'checkpoint' or a number"
    ),
    _changed("prompt_tuning.optimizer.step_offset", -1, "it should be 'checkpoint' or a number"),
    _changed(
        "checkpoints.lm_adaptation", {"many": "train"}, "has the key 'many'; it should be a whole"
    ),
    _changed("checkpoints.lm_adaptation", {0: "train"}, "has the key 0; it should be 1 or more"),
]

_BOUNDS = [
    _changed("seeds", [], "seeds has no value"),
    _changed("seeds", [0, 0], "seeds has a value twice: 0"),
    _changed("seeds", [-1], "seeds.0 is -1; it should be 0 or more"),
    _changed("seeds", [2**31], "seeds.0 is 2147483648; it should be 2,147,483,647 or less"),
    _changed("seeds", [10**30], "it should be .*whole number|2,147,483,647 or less"),
    _changed("sizes", [], "sizes has no value"),
    _changed("sizes", ["mini-small", "mini-small"], "sizes has a value twice"),
    _changed("tasks", ["boolq", "boolq"], "tasks has a value twice"),
    _changed("tasks", [], "tasks has no value"),
    _changed("prompt_tuning.steps", 0, "prompt_tuning.steps is 0; it should be 1 or more"),
    _changed("prompt_tuning.batch_size", 0, "batch_size is 0; it should be 1 or more"),
    _changed("prompt_tuning.save_every", 0, "save_every is 0; it should be 1 or more"),
    _changed("prompt_tuning.evaluate_every", -5, "evaluate_every is -5; it should be 1 or more"),
    _changed("prompt_tuning.prompt_length", 0, "prompt_length is 0; it should be 1 or more"),
    _changed("prompt_tuning.dropout_rate", 1.0, "dropout_rate is 1.0; it should be less than 1"),
    _changed(
        "prompt_tuning.max_target_length", 1, "max_target_length is 1; it should be 2 or more"
    ),
    _changed("prompt_tuning.max_input_length", 1, "max_input_length is 1; it should be 2 or more"),
    _changed("pretraining.inputs_length", 9, "inputs_length is 9; it should be 10 or more"),
    _changed("prompt_tuning.optimizer.learning_rate", 0, "it should be 1e-30 or more"),
    _changed("prompt_tuning.optimizer.learning_rate", 1e300, "it should be 1e\\+30 or less"),
    _changed("prompt_tuning.optimizer.decay_factor", 2, "it should be 1 or less"),
    _changed("evaluation.decoding", "nucleus", "evaluation.decoding is 'nucleus'; it should be"),
    _changed("runs_per_job.prompt_tuning", 0, "runs_per_job.prompt_tuning is 0"),
    _changed(
        "budget", {"accelerator_hours": -1}, "accelerator_hours is -1; it should be 0 or more"
    ),
    _changed("ablations", {"prompt_length": []}, "ablations.prompt_length has no value"),
    _changed(
        "ablations", {"prompt_length": [1, 1]}, "ablations.prompt_length has a value twice: 1"
    ),
    _changed(
        "ablations", {"prompt_length": [True]}, "prompt_length.0 is true; it should be a whole"
    ),
    _changed(
        "ablations", {"prompt_length": 5}, "ablations.prompt_length is 5; it should be a list"
    ),
    _changed("ablations", {"colour": [1]}, "ablations has 'colour'; known are prompt_length"),
    _changed("ablations", [1], "ablations should be a mapping of axes"),
    _changed("convergence.prompt_length", [], "convergence.prompt_length has no value"),
    _changed("convergence.prompt_length", [2, 2], "has a value twice: 2"),
    _changed("domain_shift.sizes", [], "domain_shift.sizes has no value"),
    _changed("domain_shift.evaluate_on", {}, "domain_shift.evaluate_on has no value"),
    _changed("domain_shift.evaluate_on", {"squad": []}, "evaluate_on.squad has no value"),
    _changed("ensembles.sizes", [], "ensembles.sizes has no value"),
    _changed("ensembles.seeds", [0, 0, 1], "ensembles.seeds has a value twice"),
    _changed("multitask_tuning.auxiliary", ["dpr", "dpr"], "auxiliary has a value twice"),
    _changed("hyperparameter_search.trials", 0, "trials is 0; it should be 1 or more"),
    _changed("hyperparameter_search.seed", -1, "seed is -1; it should be 0 or more"),
    *(
        _changed(f"hyperparameter_search.space.{key}", [], f"space.{key} has no value")
        for key in ("batch_size", "steps", "warmup_steps", "decay_factor", "parameter_scaling")
    ),
    _changed("hyperparameter_search.space.learning_rate", [1.0, 0.1], "low not above high"),
    _changed(
        "hyperparameter_search.space.learning_rate", [0, 1], "learning_rate.0 is 0; it should"
    ),
    _changed(
        "hyperparameter_search.space.learning_rate",
        [0.1],
        "the key '1' is missing",
    ),
    _changed("hyperparameter_search.space.learning_rate", [1, 2, 3], "a list of 2 values"),
    _changed("hyperparameter_search.space.batch_size", [8, 8], "batch_size has a value twice"),
]

_TEXTS = [
    _changed("label", "", "label is ''; it should be a line"),
    _changed("label", "!?", "label is '!\\?'; it should be a line"),
    _changed("label", "two\nlines", "it should be a line of at most 60 characters"),
    _changed("label", "a" * 61, "it should be a line of at most 60 characters"),
    _changed("paths.results", "", "paths.results is ''; it should be a path"),
    _changed("paths.results", "  ", "paths.results is '  '; it should be a path"),
    _changed("paths.results", "out/{task}", "should have no braces"),
    _changed("paths.results", "gs://bucket/out", "is 'gs://bucket/out'; it should be a local path"),
    _changed("paths.results", "s3://bucket/out", "only local paths and gs:// can be read"),
    _changed("paths.results", ".", "paths.results is '.'; it should be a folder of its own"),
    _changed("paths.results", "a\nb", "it should be a path"),
    _changed("paths.figures", "results/", "are the same folder"),
    _changed("paths.state", "gs://", "it should name a bucket"),
    _changed("paths.models", "{size}", "should have no braces"),
    _changed("paths.results", "~nobody-of-this-name/x", "there is no such home folder"),
    _changed("checkpoints.span_corruption", "", "span_corruption is ''; it should be a path"),
    _changed("checkpoints.span_corruption", "a/{sizes}", "should have no braces"),
    _changed("checkpoints.span_corruption", "a/model", r"it should have \{size\} in it"),
    _changed(
        "checkpoints.lm_adaptation",
        {2: "/m/{size}", 4: "/m/{size}"},
        "and so is another checkpoint",
    ),
    _changed("architectures", {"a/b": _OWN}, "architectures has the name 'a/b'"),
    _changed("architectures", {"..": _OWN}, "architectures has the name '..'"),
    _changed("architectures", {"{x}": _OWN}, "architectures has the name '{x}'"),
    _changed("architectures", {"a b": _OWN}, "architectures has the name 'a b'"),
    _changed("architectures", {"small": _OWN}, "architectures has 'small', which is built in"),
    _changed("architectures", {"x": {**_OWN, "num_heads": 0}}, "architectures.x.num_heads is 0"),
    _changed(
        "architectures", {"x": _OWN | {"d_model": True}}, "d_model is true; it should be a whole"
    ),
    _changed("architectures", {"x": {"heads": 1, **_OWN}}, "no key 'architectures.x.heads'"),
    _changed(
        "architectures", {"x": {"d_model": 4}}, "the keys 'd_ff', .* missing in architectures.x"
    ),
    _changed(
        "architectures",
        {"x": _OWN | {"relative_attention_num_buckets": 2}},
        "architectures.x needs",
    ),
    _changed("architectures", {"x": 5}, "architectures.x is 5; it should be a mapping"),
    _changed("prompt_design.separator", "", "separator is ''; it should be a text"),
    _changed("prompt_design.separator", "\n", "separator is .*; it should be a text"),
    _changed("prompt_design.separator", "e", "separator is 'e', which is in the answer"),
    _changed("data.corpus", "c4/en", "data.corpus is 'c4/en'; it should be a TFDS name"),
    _changed("data.corpus", "", "data.corpus is ''; it should be a TFDS name"),
    _changed(
        "data.substitutes", {"boolq/test": "x"}, "data.substitutes has 'boolq/test'; known are"
    ),
]

_NAMES = [
    _changed("sizes", ["gigantic"], "sizes has 'gigantic'; known are small"),
    _changed("tasks", ["sst2"], "tasks has 'sst2'; known are boolq"),
    _changed("tasks", ["race"], "tasks has 'race'; known are boolq"),
    _changed("default_checkpoint", "lm_7", "default_checkpoint has 'lm_7'; known are span_corr"),
    _changed("model_tuning.checkpoint", "lm_7", "model_tuning.checkpoint has 'lm_7'"),
    _changed("multitask_tuning.auxiliary", ["race"], "auxiliary has 'race'; known are"),
    _changed("domain_shift.sizes", ["xxl"], "domain_shift.sizes has 'xxl'; known are mini-small"),
    _changed("domain_shift.evaluate_on", {"race": ["drop"]}, "evaluate_on has 'race'"),
    _changed("domain_shift.evaluate_on", {"squad": ["squad"]}, "has 'squad' itself"),
    _changed("domain_shift.evaluate_on", {"squad": ["mnli"]}, "evaluate_on.squad has 'mnli'"),
    _changed("ensembles.sizes", ["mini-xxl"], "ensembles.sizes has 'mini-xxl'"),
    _changed("ensembles.seeds", [5, 6], "ensembles.seeds must contain the seeds"),
    _changed("convergence.task", "squad", "convergence.task has 'squad'; known are boolq"),
    _changed("hyperparameter_search.size", "xxl", "hyperparameter_search.size has 'xxl'"),
    _changed("hardware", {"xxxl": {"accelerator": "h100"}}, "hardware has 'xxxl'"),
    _changed("hardware", {"mini-small": {"accelerator": "v9"}}, "accelerator has 'v9'; known are"),
    _changed("ablations", {"lm_adaptation_steps": [7]}, "lm_adaptation_steps with 7 has 'lm_7'"),
]

_TOGETHER = [
    _changed("origin", "real", "data.generated is true; it must be 'generated'"),
    _changed("pretraining", None, "the section pretraining is needed"),
    _changed("lm_adaptation", None, "the section lm_adaptation is needed"),
    _changed(
        "lm_adaptation.steps", 7, "each key of `checkpoints.lm_adaptation` is a number of steps"
    ),
    _changed(
        "lm_adaptation.optimizer", {"learning_rate": 0.1, "warmup_steps": 5}, "count from 0 again"
    ),
    _changed(
        "lm_adaptation.optimizer",
        {"learning_rate": 0.1, "decay_factor": 0.5, "steps_per_decay": 2},
        "count from 0 again",
    ),
    _changed("lm_adaptation.optimizer", {"learning_rate": 0.1, "step_offset": 9}, "count from 0"),
    _changed("prompt_tuning.sentinel", True, "only span corruption has sentinels", ablations={}),
    _changed(
        "prompt_tuning.sentinel",
        True,
        "lm_adaptation_steps needs prompt_tuning.sentinel to be false",
        default_checkpoint="span_corruption",
    ),
    _changed("prompt_tuning.max_target_length", 2, "3 or more with a sentinel"),
    _changed(
        "prompt_tuning.initialization", {"method": "text"}, "method 'text' needs the key 'text'"
    ),
    _changed(
        "prompt_tuning.initialization", {"method": "file"}, "method 'file' needs the key 'file'"
    ),
    _changed("prompt_tuning.initialization", {"text": "x"}, "no prompt starts from it"),
    _changed("prompt_tuning.initialization", {"uniform_range": [1, 0]}, "low below high"),
    _changed(
        "prompt_tuning.initialization", {"method": "file", "file": "p.npy"}, "2 values of d_model"
    ),
    _changed("ablations", {"initialization": ["text"]}, "method 'text' needs the key 'text'"),
    _changed(
        "ablations",
        {"initialization": ["file", "text"]},
        "method 'file' needs",
        prompt_tuning__initialization=_TEXT,
    ),
    _changed(
        "prompt_tuning.initialization",
        {"method": "file", "file": "absent.npy"},
        "absent.npy', which does not exist",
        sizes=["mini-small"],
        domain_shift=...,
        ensembles=...,
        ablations=...,
        convergence=...,
    ),
    _changed(
        "prompt_tuning.optimizer.decay_factor", 0.5, "decay_factor needs the key steps_per_decay"
    ),
    _changed("prompt_tuning.optimizer.steps_per_decay", 5, "no effect without decay_factor"),
    _changed("data.corpus_shards_used", 2, "corpus_shards_used is more than data.corpus_shards"),
    _changed("data.vocabulary", "mine.model", "generated data have their own"),
    _changed("data.data_dir", "/data", "generated data have their own"),
    _changed("data.generated", False, "data.vocabulary is needed"),
    _changed("data", {"vocabulary": "absent.model"}, "absent.model', which does not exist"),
    _changed(
        "checkpoints.lm_adaptation.2",
        "absent/{size}",
        "the location of lm_2 is 'absent/mini-",
    ),
    _changed("prompt_design.shots", 300, "cb has 250 training examples"),
    _changed(
        "hardware", {"mini-small": {"accelerator": "v2-8", "model_axis": 3}}, "should divide the 8"
    ),
    _changed(
        "hardware",
        {"mini-small": {"accelerator": "h100", "examples_at_a_time": 2}},
        "batch of 3 cannot be cut into 2 equal parts",
        model_tuning__batch_size=3,
    ),
]

CASES = [*_FILES, *_TYPES, *_BOUNDS, *_TEXTS, *_NAMES, *_TOGETHER]
