"""Configurations that `promptscale check` must refuse: their keys and values."""

from tests.robustness.configuration_case import LAYERS, REAL, changed

_TEXT = {"method": "text", "text": "a text"}

_TYPES = [
    changed("prompt_tuning.prompt_lenght", 5, "did you mean 'prompt_length'"),
    changed("colour", "red", "there is no key 'colour'; the keys here are origin"),
    changed("prompt_tuning.optimizer.momentum", 1, "the keys here are learning_rate"),
    changed("prompt_tuning.steps", ..., "the key 'steps' is missing in prompt_tuning"),
    changed("label", ..., "the key 'label' is missing"),
    changed("seeds", [True], r"seeds.0 is true; it should be a whole number"),
    changed("seeds", ["1"], r"seeds.0 is '1'; it should be a whole number"),
    changed("seeds", [0.5], r"seeds.0 is 0.5; it should be a whole number"),
    changed("seeds", 3, "seeds is 3; it should be a list"),
    changed("seeds", {0: 1}, "seeds is .* it should be a list"),
    changed("sizes", "mini-small", "sizes is 'mini-small'; it should be a list"),
    changed("sizes", None, "sizes is empty; it should be a list"),
    changed("sizes", [None], "sizes.0 is empty; it should be a text"),
    changed("data", None, "data is empty; it should be a mapping"),
    changed("data", [], "data is .*; it should be a mapping"),
    changed("prompt_tuning", "default", "prompt_tuning is 'default'; it should be a mapping"),
    changed("prompt_tuning.sentinel", "yes", "sentinel is 'yes'; it should be true or false"),
    changed("prompt_tuning.sentinel", 1, "sentinel is 1; it should be true or false"),
    changed("prompt_tuning.optimizer.learning_rate", "0.3", "is '0.3'; it should be a number"),
    changed("prompt_tuning.optimizer.learning_rate", True, "is true; it should be a number"),
    changed("prompt_tuning.z_loss", float("inf"), "it should be .*"),
    changed("prompt_tuning.z_loss", float("nan"), "it should be a finite number"),
    changed("label", 11, "label is 11; it should be a text"),
    changed("origin", "mars", "origin is 'mars'; it should be 'generated' or 'real'"),
    changed("prompt_tuning.activations", "float16", "it should be 'float32' or 'bfloat16'"),
    changed(
        "prompt_tuning.optimizer.step_offset", "begin", "it should be 'checkpoint' or a number"
    ),
    changed("prompt_tuning.optimizer.step_offset", -1, "it should be 'checkpoint' or a number"),
    changed(
        "checkpoints.lm_adaptation", {"many": "train"}, "has the key 'many'; it should be a whole"
    ),
    changed("checkpoints.lm_adaptation", {0: "train"}, "has the key 0; it should be 1 or more"),
]

_BOUNDS = [
    changed("seeds", [], "seeds has no value"),
    changed("seeds", [0, 0], "seeds has a value twice: 0"),
    changed("seeds", [-1], "seeds.0 is -1; it should be 0 or more"),
    changed("seeds", [2**31], "seeds.0 is 2147483648; it should be 2,147,483,647 or less"),
    changed("seeds", [10**30], "it should be .*whole number|2,147,483,647 or less"),
    changed("sizes", [], "sizes has no value"),
    changed("sizes", ["mini-small", "mini-small"], "sizes has a value twice"),
    changed("tasks", ["boolq", "boolq"], "tasks has a value twice"),
    changed("tasks", [], "tasks has no value"),
    changed("prompt_tuning.steps", 0, "prompt_tuning.steps is 0; it should be 1 or more"),
    changed("prompt_tuning.batch_size", 0, "batch_size is 0; it should be 1 or more"),
    changed("prompt_tuning.save_every", 0, "save_every is 0; it should be 1 or more"),
    changed("prompt_tuning.evaluate_every", -5, "evaluate_every is -5; it should be 1 or more"),
    changed("prompt_tuning.prompt_length", 0, "prompt_length is 0; it should be 1 or more"),
    changed("prompt_tuning.dropout_rate", 1.0, "dropout_rate is 1.0; it should be less than 1"),
    changed("prompt_tuning.max_target_length", 1, "max_target_length is 1; it should be 2 or more"),
    changed("prompt_tuning.max_input_length", 1, "max_input_length is 1; it should be 2 or more"),
    changed("pretraining.inputs_length", 9, "inputs_length is 9; it should be 10 or more"),
    changed("prompt_tuning.optimizer.learning_rate", 0, "it should be 1e-30 or more"),
    changed("prompt_tuning.optimizer.learning_rate", 1e300, "it should be 1e\\+30 or less"),
    changed("prompt_tuning.optimizer.decay_factor", 2, "it should be 1 or less"),
    changed("evaluation.decoding", "nucleus", "evaluation.decoding is 'nucleus'; it should be"),
    changed("runs_per_job.prompt_tuning", 0, "runs_per_job.prompt_tuning is 0"),
    changed("budget", {"accelerator_hours": -1}, "accelerator_hours is -1; it should be 0 or more"),
    changed("ablations", {"prompt_length": []}, "ablations.prompt_length has no value"),
    changed("ablations", {"prompt_length": [1, 1]}, "ablations.prompt_length has a value twice: 1"),
    changed(
        "ablations", {"prompt_length": [True]}, "prompt_length.0 is true; it should be a whole"
    ),
    changed("ablations", {"prompt_length": 5}, "ablations.prompt_length is 5; it should be a list"),
    changed("ablations", {"colour": [1]}, "ablations has 'colour'; known are prompt_length"),
    changed("ablations", [1], "ablations should be a mapping of axes"),
    changed("convergence.prompt_length", [], "convergence.prompt_length has no value"),
    changed("convergence.prompt_length", [2, 2], "has a value twice: 2"),
    changed("domain_shift.sizes", [], "domain_shift.sizes has no value"),
    changed("domain_shift.evaluate_on", {}, "domain_shift.evaluate_on has no value"),
    changed("domain_shift.evaluate_on", {"squad": []}, "evaluate_on.squad has no value"),
    changed("ensembles.sizes", [], "ensembles.sizes has no value"),
    changed("ensembles.seeds", [0, 0, 1], "ensembles.seeds has a value twice"),
    changed("multitask_tuning.auxiliary", ["dpr", "dpr"], "auxiliary has a value twice"),
    changed("hyperparameter_search.trials", 0, "trials is 0; it should be 1 or more"),
    changed("hyperparameter_search.seed", -1, "seed is -1; it should be 0 or more"),
    *(
        changed(f"hyperparameter_search.space.{key}", [], f"space.{key} has no value")
        for key in ("batch_size", "steps", "warmup_steps", "decay_factor", "parameter_scaling")
    ),
    changed("hyperparameter_search.space.learning_rate", [1.0, 0.1], "low not above high"),
    changed("hyperparameter_search.space.learning_rate", [0, 1], "learning_rate.0 is 0; it should"),
    changed(
        "hyperparameter_search.space.learning_rate",
        [0.1],
        "the key '1' is missing",
    ),
    changed("hyperparameter_search.space.learning_rate", [1, 2, 3], "a list of 2 values"),
    changed("hyperparameter_search.space.batch_size", [8, 8], "batch_size has a value twice"),
]

_TEXTS = [
    changed("label", "", "label is ''; it should be a line"),
    changed("label", "!?", "label is '!\\?'; it should be a line"),
    changed("label", "two\nlines", "it should be a line of at most 60 characters"),
    changed("label", "a" * 61, "it should be a line of at most 60 characters"),
    changed("paths.results", "", "paths.results is refused: '' is no location: it is empty"),
    changed("paths.results", "  ", "paths.results is refused: '  ' is no location"),
    changed("paths.results", "out/{task}", "should have no braces"),
    changed("paths.results", "gs://bucket/out", "is 'gs://bucket/out'; it should be a local path"),
    changed("paths.results", "s3://bucket/out", "a location is a local path or gs://bucket/folder"),
    changed("paths.results", ".", "paths.results is '.'; it should be a folder of its own"),
    changed("paths.results", "a\nb", "it should be a path"),
    changed("paths.figures", "results/", "are the same folder"),
    changed("paths.state", "gs://", "gs:// names no bucket"),
    changed("paths.models", "{size}", "should have no braces"),
    changed(
        "paths.results", "~nobody-of-this-name/x", "begins with the home folder of an unknown user"
    ),
    changed("checkpoints.span_corruption", "", "span_corruption is refused: '' is no location"),
    changed("checkpoints.span_corruption", "a/{sizes}", "should have no braces"),
    changed("checkpoints.span_corruption", "a/model", r"it should have \{size\} in it"),
    changed(
        "checkpoints.lm_adaptation",
        {2: "/m/{size}", 4: "/m/{size}"},
        "and so is another checkpoint",
    ),
    changed("architectures", {"a/b": LAYERS}, "architectures has the name 'a/b'"),
    changed("architectures", {"..": LAYERS}, "architectures has the name '..'"),
    changed("architectures", {"{x}": LAYERS}, "architectures has the name '{x}'"),
    changed("architectures", {"a b": LAYERS}, "architectures has the name 'a b'"),
    changed("architectures", {"small": LAYERS}, "architectures has 'small', which is built in"),
    changed("architectures", {"x": {**LAYERS, "num_heads": 0}}, "architectures.x.num_heads is 0"),
    changed(
        "architectures",
        {"x": LAYERS | {"d_model": True}},
        "d_model is true; it should be a whole",
    ),
    changed("architectures", {"x": {"heads": 1, **LAYERS}}, "no key 'architectures.x.heads'"),
    changed(
        "architectures", {"x": {"d_model": 4}}, "the keys 'd_ff', .* missing in architectures.x"
    ),
    changed(
        "architectures",
        {"x": LAYERS | {"relative_attention_num_buckets": 2}},
        "architectures.x needs",
    ),
    changed("architectures", {"x": 5}, "architectures.x is 5; it should be a mapping"),
    changed("prompt_design.separator", "", "separator is ''; it should be a text"),
    changed("prompt_design.separator", "\n", "separator is .*; it should be a text"),
    changed("prompt_design.separator", "e", "separator is 'e', which is in the answer"),
    changed("prompt_design.separator", " ;", "separator is ' ;'; the vocabulary of the generated"),
    changed("data.corpus", "c4/en", "data.corpus is 'c4/en'; it should be a TFDS name"),
    changed("data.corpus", "", "data.corpus is ''; it should be a TFDS name"),
]

_NAMES = [
    changed("sizes", ["gigantic"], "sizes has 'gigantic'; known are small"),
    changed("tasks", ["cola"], "tasks has 'cola'; known are boolq"),
    changed("tasks", ["race"], "tasks has 'race'; known are boolq"),
    changed(
        "published_prompts", {"size": "base", "folder": "p"}, "published_prompts.size has 'base'"
    ),
    changed(
        "published_prompts",
        {"size": "mini-small", "folder": "p", "tasks": ["race"]},
        "published_prompts.tasks has 'race'; known are boolq",
    ),
    changed("published_prompts", {"size": "mini-small", "folder": "gs://bucket/b"}, "a local path"),
    changed("default_checkpoint", "lm_7", "default_checkpoint has 'lm_7'; known are span_corr"),
    changed("model_tuning.checkpoint", "lm_7", "model_tuning.checkpoint has 'lm_7'"),
    changed("multitask_tuning.auxiliary", ["race"], "auxiliary has 'race'; known are"),
    changed("domain_shift.sizes", ["xxl"], "domain_shift.sizes has 'xxl'; known are mini-small"),
    changed("domain_shift.evaluate_on", {"race": ["drop"]}, "evaluate_on has 'race'"),
    changed("domain_shift.evaluate_on", {"squad": ["squad"]}, "has 'squad' itself"),
    changed("domain_shift.evaluate_on", {"squad": ["mnli"]}, "evaluate_on.squad has 'mnli'"),
    changed("ensembles.sizes", ["mini-xxl"], "ensembles.sizes has 'mini-xxl'"),
    changed("ensembles.seeds", [5, 6], "ensembles.seeds must contain the seeds"),
    changed("convergence.task", "squad", "convergence.task has 'squad'; known are boolq"),
    changed("hyperparameter_search.size", "xxl", "hyperparameter_search.size has 'xxl'"),
    changed("hardware", {"xxxl": {"accelerator": "h100"}}, "hardware has 'xxxl'"),
    changed("hardware", {"mini-small": {"accelerator": "v9"}}, "accelerator has 'v9'; known are"),
    changed("ablations", {"lm_adaptation_steps": [7]}, "lm_adaptation_steps with 7 has 'lm_7'"),
]

_TOGETHER = [
    changed("origin", "real", "data.generated is true; it must be 'generated'"),
    changed("pretraining", None, "the section pretraining is needed"),
    changed("lm_adaptation", None, "the section lm_adaptation is needed"),
    changed(
        "ablations",
        {"pretraining_objective": ["span_corruption_continued"]},
        r"has 'span_corruption_continued_\d+'; known are span_corruption",
    ),
    changed(
        "lm_adaptation.steps", 7, "each key of `checkpoints.lm_adaptation` is a number of steps"
    ),
    changed(
        "lm_adaptation.optimizer", {"learning_rate": 0.1, "warmup_steps": 5}, "count from 0 again"
    ),
    changed(
        "lm_adaptation.optimizer",
        {"learning_rate": 0.1, "decay_factor": 0.5, "steps_per_decay": 2},
        "count from 0 again",
    ),
    changed("lm_adaptation.optimizer", {"learning_rate": 0.1, "step_offset": 9}, "count from 0"),
    changed("prompt_tuning.sentinel", True, "only span corruption has sentinels", ablations={}),
    changed(
        "prompt_tuning.sentinel",
        True,
        "lm_adaptation_steps needs prompt_tuning.sentinel to be false",
        default_checkpoint="span_corruption",
    ),
    changed("prompt_tuning.max_target_length", 2, "3 or more with a sentinel"),
    changed(
        "prompt_tuning.initialization", {"method": "text"}, "method 'text' needs the key 'text'"
    ),
    changed(
        "prompt_tuning.initialization", {"method": "file"}, "method 'file' needs the key 'file'"
    ),
    changed("prompt_tuning.initialization", {"text": "x"}, "no prompt starts from it"),
    changed("prompt_tuning.initialization", {"uniform_range": [1, 0]}, "low below high"),
    changed(
        "prompt_tuning.initialization", {"method": "file", "file": "p.npy"}, "2 values of d_model"
    ),
    changed("ablations", {"initialization": ["text"]}, "method 'text' needs the key 'text'"),
    changed(
        "ablations",
        {"initialization": ["file", "text"]},
        "method 'file' needs",
        prompt_tuning__initialization=_TEXT,
    ),
    changed(
        "prompt_tuning.initialization",
        {"method": "file", "file": "absent.npy"},
        "absent.npy', which does not exist",
        sizes=["mini-small"],
        domain_shift=...,
        ensembles=...,
        ablations=...,
        convergence=...,
    ),
    changed(
        "prompt_tuning.optimizer.decay_factor", 0.5, "decay_factor needs the key steps_per_decay"
    ),
    changed("prompt_tuning.optimizer.steps_per_decay", 5, "no effect without decay_factor"),
    changed("data.corpus_shards_used", 2, "corpus_shards_used is more than data.corpus_shards"),
    changed("data.vocabulary", "mine.model", "generated data have their own"),
    changed("data.data_dir", "/data", "generated data have their own"),
    changed("data.generated", False, "data.vocabulary is needed", origin="real"),
    changed("data", {"vocabulary": "absent.model"}, "absent.model', which does not", origin="real"),
    changed(
        "checkpoints.lm_adaptation.2",
        "absent/{size}",
        "the location of lm_2 is 'absent/mini-",
    ),
    changed("prompt_design.shots", 300, "cb has 250 training examples", data=REAL, origin="real"),
    changed(
        "hardware", {"mini-small": {"accelerator": "v2-8", "model_axis": 3}}, "should divide the 8"
    ),
    changed(
        "hardware",
        {"mini-small": {"accelerator": "h100", "token_budget": 0}},
        "hardware.mini-small.token_budget is 0; it should be 1 or more",
    ),
]

_SUMS = [
    *(
        changed(key, 500_000_001, "is 500000001; it should be 500,000,000 or less")
        for key in (
            "pretraining.steps",
            "prompt_tuning.steps",
            "model_tuning.steps",
            "prompt_tuning.save_every",
            "prompt_tuning.evaluate_every",
            "prompt_tuning.optimizer.warmup_steps",
        )
    ),
    changed("prompt_tuning.optimizer.step_offset", 2**31 - 1, "'checkpoint' or a number of steps"),
    changed("checkpoints.lm_adaptation", {2**31 - 1: "train"}, "should be 500,000,000 or less"),
    changed("hyperparameter_search.space.steps", [10**9], "should be 500,000,000 or less"),
    changed("hyperparameter_search.trials", 10**9, "trials is 1000000000; it should be 10,000 or"),
    changed(
        "prompt_tuning.optimizer.schedule",
        "rsqrt",
        "space.decay_factor has no effect with prompt_tuning.optimizer.schedule 'rsqrt'",
    ),
    changed(
        "hyperparameter_search.space.decay_factor", [None], "space.steps_per_decay has no effect"
    ),
]

CASES = [*_TYPES, *_BOUNDS, *_TEXTS, *_NAMES, *_SUMS, *_TOGETHER]
