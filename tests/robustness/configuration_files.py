"""Configurations that `promptscale check` must refuse: their YAML, and what they name."""

import re

from tests.robustness.case import Case
from tests.robustness.configuration_case import (
    LAYERS,
    REAL,
    changed,
    check,
    line,
    real,
    written,
)

_FILES = [
    Case("no such configuration", check, "bad.yaml cannot be read: No such file"),
    Case(
        "a folder as configuration",
        check,
        "bad.yaml cannot be read: Is a directory",
        lambda folder: (folder / "bad.yaml").mkdir(),
    ),
    written("empty configuration", "", "is not a mapping of keys"),
    written("a list as configuration", "- a\n- b\n", "is not a mapping of keys"),
    written("unclosed bracket", "a: [1, 2", "is not valid YAML: .* line 1"),
    written("tab in YAML", "a:\n\tb: 1", "is not valid YAML: .* line 2"),
    written("two documents", "a: 1\n---\na: 2", "is not valid YAML"),
    written("unknown YAML tag", "a: !!python/name:os.system x", "has the tag .*has no tags"),
    written("unknown anchor", "a: *b", "is not valid YAML: .*undefined alias"),
    written("impossible date", "a: 2020-13-45", "line 1 has the value '2020-13-45'"),
    written("deeply nested", "[" * 5000, "is not valid YAML"),
    written("Latin-1", "label: T\n# ä\n".encode("latin-1"), "is not UTF-8 in line 2"),
    written("UTF-16", "origin: real".encode("utf-16"), "is not UTF-8 in line 1"),
    written("NUL character", "a: \0", "is not valid YAML"),
    written(
        "a key twice",
        "seeds: [0]\nsizes: [x]\nseeds: [1]\n",
        "has the key 'seeds' twice, in line 1 and in line 3",
    ),
    written(
        "a nested key twice",
        "data:\n  generated: true\n  generated: false\n",
        "has the key 'generated' twice, in line 2 and in line 3",
    ),
    written("a number as key", "1: 2\n", "there is the key 1, but a key is a text"),
    written(
        "an empty key", "? \n: 2\n", "line 1 has the key ''; a key is a text or a whole number"
    ),
    written("a list as key", "[1]: 2\n", "is not valid YAML"),
    written("an overlay", "sizes: [mini-small]\n", "the keys 'origin', 'label', .* are missing"),
]

_NUMBERS_OF_YAML = [
    line(name, text, f"line 2 has the value '{re.escape(text)}', which has another meaning")
    for name, text in (
        ("a sexagesimal number", "2:30"),
        ("an octal number", "010"),
        ("a hexadecimal number", "0x10"),
        ("a binary number", "0b101"),
        ("a number with underscores", "1_000"),
        ("a fraction with underscores", "1_0.5"),
        ("yes", "yes"),
        ("Off", "Off"),
        ("a date", "2020-01-01"),
    )
] + [
    line("a number of thousands of hexadecimal digits", "0x" + "f" * 6000, "line 2 has the value"),
    line("a number of thousands of digits", "9" * 6000, "line 2 has the value '999"),
    line("an octal number of YAML 1.2", "0o10", "there is no key 'added'"),
]

_KEYS_OF_YAML = [
    line("a key twice on a line", "{a: 0.3, a: 0.5}", "has the key 'a' twice, in line 2"),
    line("a number twice as key", "{4: a, +4: b}", "has the key '4' twice"),
    line("a number and a text as key", "{4: a, '4': b}", "has the key '4' twice"),
    line("an octal key", "{4: a, 0_4: b}", "has the value '0_4'"),
    line("true as key", "{true: a}", "has the key 'true'; a key is a text or a whole number"),
    line("a fraction as key", "{3.0: a}", "has the key '3.0'; a key is a text or a whole"),
    line("a nested empty key", "{~: [1]}", "has the key '~'; a key is a text or a whole"),
    line("a set", "!!set {boolq, cb}", "line 2 has the tag 'set'; a configuration has no tags"),
    line("an ordered mapping", "!!omap [a: 1]", "line 2 has the tag 'omap'"),
    line("binary data", "!!binary aGVsbG8=", "line 2 has the tag 'binary'"),
    line("a tuple", "!!python/tuple [1, 2]", "line 2 has the tag '.*tuple'"),
    changed("checkpoints.lm_adaptation", {"04": "train"}, "has the key '04'; it should be a whole"),
    changed("data", {1: 2}, "data has the key 1, but a key is a text"),
    changed("evaluation", {1: 2}, "evaluation has the key 1, but a key is a text"),
    changed(
        "architectures",
        {"x": {1: 2, **LAYERS}},
        "architectures.x has the key 1, but a key is a text",
    ),
    changed("ablations", {1: [1]}, "ablations has 1; known are prompt_length"),
]

_LOCATIONS = [
    *(
        changed(key, text, f"{key} is refused: .*{sentence}")
        for key in ("paths.state", "paths.results")
        for text, sentence in (
            (" out", "blanks around it"),
            ("C:/x", "cannot be read"),
            ("a:/b", "cannot be read"),
            ("gs:/bucket/x", "with two slashes"),
            ("gs:bucket", "with two slashes"),
            ("GS://bucket/x", "in lower-case letters"),
            ("gs://My_Bucket/x", "names no bucket"),
            ("gs://b/x", "names no bucket"),
            ("gs://bu/../x", "names no bucket"),
        )
    ),
    changed("paths.models", "s3://bucket/x", "paths.models is refused: "),
    changed("paths.results", "a" * 256, "a path has at most 1000 bytes, and a part of it at most"),
    changed("paths.state", "ä" * 128, "a path has at most 1000 bytes, and a part of it at most"),
    changed("paths.state", "a/" * 600, "a path has at most 1000 bytes, and a part of it at most"),
    changed("data.vocabulary", "a" * 300, "a part of it at most 255"),
    changed("checkpoints.span_corruption", "/m/{size}" + "a" * 300, "a part of it at most 255"),
    changed("checkpoints.span_corruption", "gs://b/{size}", "'b' should have 3 or more"),
    changed(
        "checkpoints.lm_adaptation",
        {2: "/m/{size}", 4: "/m//{size}/"},
        "and so is another checkpoint, checkpoints.lm_adaptation.2",
    ),
    changed("paths.results", "bad.yaml", "paths.results is 'bad.yaml', but .* is a file"),
    changed("paths.results", "bad.yaml/out", "'bad.yaml/out', but .*bad.yaml' is a file"),
    changed("paths.figures", "/dev/null", "paths.figures is '/dev/null', but '/dev/null' is a"),
    changed("paths.models", "/etc/passwd", "paths.models is '/etc/passwd', but .* is a file"),
    changed("paths.state", "bad.yaml", "paths.state is 'bad.yaml', but .* is a file"),
    changed("checkpoints.span_corruption", "bad.yaml/{size}", "span_corruption is 'bad.yaml/mini"),
]

_DATA = [
    real({"substitutes": {"boolq/test": "x"}}, "data.substitutes has 'boolq/test'; known are"),
    real({"local_files": "bad.yaml"}, "data.local_files is 'bad.yaml', which is a file"),
    real({"local_files": "gs://bucket/x"}, "local_files is 'gs://bucket/x'; it should be a local"),
    real({"seed": 7}, "data.seed is 7, but data.generated is false; published data have no seed"),
    real({"vocabulary": "."}, "data.vocabulary is '.', which is a folder; it should be a file"),
    real({"vocabulary": "gs:vocabulary"}, "data.vocabulary is refused: .*with two slashes"),
    real({"data_dir": "absent"}, "data.data_dir is 'absent', which does not exist"),
    real({"data_dir": "bad.yaml"}, "data.data_dir is 'bad.yaml', which is a file"),
    real(
        {"data_dir": "bad.yaml", "download": True}, "data.data_dir is 'bad.yaml', but .* is a file"
    ),
    real({"data_dir": "gs://bucket", "download": True}, "a download needs a local folder"),
    real({"substitutes": {"cb/train": "absent"}}, "substitutes.cb/train is 'absent', which does"),
    real(
        {"substitutes": {"cb/train": "/tmp"}}, "substitutes.cb/train is '/tmp', which is a folder"
    ),
    real({"substitutes": {"cb/train": "gs://bucket/x"}}, "cb/train is .* should be a local path"),
    real({"substitutes": {"cb/train": "x"}, "local_files": None}, "substitutes needs data.local_"),
    real({"corpus": "/:1.0.0"}, "data.corpus is '/:1.0.0'; it should be a TFDS name"),
    real({"corpus": "c4/en/:1.0.0"}, "data.corpus is 'c4/en/:1.0.0'; it should be a TFDS name"),
    changed("data.local_files", "/tmp", "local_files is given, but data.generated is true"),
    changed("data.substitutes", {"cb/train": "x"}, "substitutes is given, but data.generated"),
    changed("data.corpus", "wikipedia/x:1.0.0", "the generated corpus is 'c4/en:2.2.0'"),
    changed("data", REAL, "origin is 'generated', but data.generated is false"),
    changed("data.corpus_shards", 10**9, "corpus_shards is 1000000000; it should be 100,000 or"),
    changed(
        "architectures",
        {"x": {"vocab_size": 511, **LAYERS}},
        "architectures.x.vocab_size is 511; it should be 512 or more",
    ),
    changed("prompt_design.shots", 4001, "has 4000 training examples"),
]

CASES = [*_FILES, *_NUMBERS_OF_YAML, *_KEYS_OF_YAML, *_LOCATIONS, *_DATA]
