"""Command lines of `convert` and `inspect`, and files given to them, that must be refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from promptscale import adapters, prompts
from promptscale.checkpoints import t5x
from tests import tiny
from tests.checkpoints import synthetic_checkpoints as synthetic
from tests.robustness.case import Case, command
from tests.robustness.checkpoints import LFS, raw_safetensors, with_value

_PROMPT = np.ones((5, 6), np.float32)
_CONFIG = {"peft_type": "PROMPT_TUNING", "task_type": "SEQ_2_SEQ_LM", "num_virtual_tokens": 5}
_ARRAYS = {"prompt_embeddings": _PROMPT}
_NO_TEXT = b"\xff\xfe\x00"

Write = Callable[[Path], object]


def _prompt(folder: Path) -> None:
    prompts.save(folder / "p.npy", _PROMPT)


def _checkpoint(folder: Path) -> None:
    t5x.write(folder / "ck", synthetic.checkpoint())


def _case(name: str, sentence: str, arguments: str, *write: Write) -> Case:
    """A command line in a folder that `write` fills."""

    def fill(folder: Path) -> None:
        for step in write:
            step(folder)

    use = lambda folder: command(*arguments.split())  # noqa: E731
    return Case(f"command {name}", use, sentence, fill)


def _file(name: str, content: bytes = b"") -> Write:
    """Puts a file into the folder."""

    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return write


def _adapter(
    name: str, sentence: str, config: bytes | dict = _CONFIG, weights: bytes | dict | None = _ARRAYS
) -> Case:
    """An adapter of PEFT with another configuration or other arrays."""

    def write(folder: Path) -> None:
        content = config if isinstance(config, bytes) else json.dumps(config).encode()
        _file(f"a/{adapters.CONFIG}", content)(folder)
        if weights is not None:
            content = weights if isinstance(weights, bytes) else save(weights)
            _file(f"a/{adapters.WEIGHTS}", content)(folder)

    return Case(f"adapter: {name}", lambda folder: prompts.load(folder / "a"), sentence, write)


def _without(folder: Path) -> None:
    """A checkpoint that has no arrays of an encoder layer."""
    checkpoint = synthetic.checkpoint()
    params = {name: a for name, a in checkpoint.params.items() if "encoder/layers_0" not in name}
    t5x.write(folder / "ck", t5x.Checkpoint(0, params, {}))


def _nan(folder: Path) -> None:
    checkpoint = synthetic.checkpoint()
    name = "decoder/logits_dense/kernel"
    checkpoint.params[name] = with_value(checkpoint.params[name], (2, 3), np.nan)
    t5x.write(folder / "ck", checkpoint)


_INSPECT = "--checkpoint ck --vocabulary v.model"
CASES = [
    # convert: the source
    _case("convert: no prompt", "no/p.npy is missing", "convert no/p.npy a --to peft"),
    _case("convert: no checkpoint", "no checkpoint at .*no such", "convert no hf --to huggingface"),
    _case("convert: nothing there", "no checkpoint at .*no such", "convert no run --to t5x"),
    _case(
        "convert: a folder without a prompt",
        "d is a folder without a prompt; a prompt is",
        "convert d p.npy --to npy",
        _file("d/notes.txt"),
    ),
    _case(
        "convert: a checkpoint as a prompt",
        "ck is a folder without a prompt",
        "convert ck a --to peft",
        _checkpoint,
    ),
    _case(
        "convert: a prompt as a checkpoint",
        "p.npy is not flax msgpack .*begins like a NumPy array",
        "convert p.npy hf --to huggingface",
        _prompt,
    ),
    _case(
        "convert: bytes that are no text",
        "p.npy is not a whole .npy file of numbers",
        "convert p.npy a --to peft",
        _file("p.npy", _NO_TEXT),
    ),
    _case("convert: an empty file", "it is empty", "convert p.npy a --to peft", _file("p.npy")),
    _case(
        "convert: PyTorch's file",
        "pickled by PyTorch and is not read; load it with transformers and call `save_pretrained`",
        "convert bin ck --to t5x",
        _file("bin/pytorch_model.bin"),
    ),
    _case(
        "convert: Orbax",
        "Orbax checkpoint .* restore it with Orbax",
        "convert orbax hf --to huggingface",
        _file("orbax/manifest.ocdbt"),
    ),
    _case(
        "convert: T5 without layers",
        "is not a T5 1.1: it has no matrix encoder/layers_0/attention/query/kernel",
        "convert ck hf --to huggingface",
        _without,
    ),
    _case(
        "convert: NaN in a checkpoint",
        "1 of the .* values .* decoder/logits_dense/kernel .* are NaN",
        "convert ck hf --to huggingface",
        _nan,
    ),
    _case(
        "convert: T5X's export without its prompt",
        "run is a folder without a prompt",
        "convert run p.npy --to npy",
        _file("run/numpy_checkpoints/checkpoint_7/other"),
    ),
    # convert: what does not go together
    _case(
        "convert: another model",
        r"p.npy is 5 x 8 .* the model's d_model is 6; the prompt is of another size",
        "convert p.npy a --to peft --checkpoint ck",
        _checkpoint,
        lambda folder: prompts.save(folder / "p.npy", np.ones((5, 8), np.float32)),
    ),
    _case(
        "convert: no model of the prompt",
        "There is no checkpoint at .*/ck: no such",
        "convert p.npy a --to peft --checkpoint ck",
        _prompt,
    ),
    _case(
        "convert: a prompt's dtype",
        "--dtype is of checkpoints; a prompt is always float32",
        "convert p.npy a --to peft --dtype bfloat16",
        _prompt,
    ),
    _case(
        "convert: a checkpoint's step",
        "--step is of prompts, and ck is converted as a checkpoint",
        "convert ck hf --to huggingface --step 3",
        _checkpoint,
    ),
    _case(
        "convert: a checkpoint's checkpoint",
        "--checkpoint is of prompts",
        "convert ck hf --to huggingface --checkpoint ck",
        _checkpoint,
    ),
    # convert: the target
    _case(
        "convert: to a bucket",
        "gs://bucket/a is in a bucket; convert to a local path",
        "convert p.npy gs://bucket/a --to peft",
        _prompt,
    ),
    _case(
        "convert: an existing file",
        "q.npy exists; give another path, or --force to replace it",
        "convert p.npy q.npy --to npy",
        _prompt,
        _file("q.npy"),
    ),
    _case(
        "convert: an existing folder",
        "a exists; give another path, or --force",
        "convert p.npy a --to peft",
        _prompt,
        _file(f"a/{adapters.CONFIG}"),
    ),
    _case(
        "convert: a folder with other files",
        r"\. cannot be replaced: it holds p.npy, thesis.tex, which is nothing",
        "convert p.npy . --to peft --force",
        _prompt,
        _file("thesis.tex"),
    ),
    _case(
        "convert: a folder for a file",
        "d cannot be replaced: the format npy is a file",
        "convert p.npy d --to npy --force",
        _prompt,
        _file("d/x"),
    ),
    _case(
        "convert: a file for a folder",
        "f cannot be replaced: the format peft is a folder",
        "convert p.npy f --to peft --force",
        _prompt,
        _file("f"),
    ),
    _case(
        "convert: below a file",
        "cannot be written: ",
        "convert p.npy f/a --to peft",
        _prompt,
        _file("f"),
    ),
    # Adapters of PEFT
    _adapter("no JSON", "adapter_config.json should be a JSON object of PEFT", b"{"),
    _adapter("not UTF-8", "adapter_config.json should be a JSON object .*UTF-16", _NO_TEXT),
    _adapter("a list", "adapter_config.json should be a JSON object", b"[]"),
    _adapter("LoRA", "is of LORA for SEQ_2_SEQ_LM; a prompt", _CONFIG | {"peft_type": "LORA"}),
    _adapter("GPT", "for CAUSAL_LM; a prompt for T5 is of", _CONFIG | {"task_type": "CAUSAL_LM"}),
    _adapter(
        "no length",
        "should say `num_virtual_tokens`, 1 or more; not None",
        _CONFIG | {"num_virtual_tokens": None},
    ),
    _adapter(
        "another length",
        r"has an array of shape \(5, 6\), but .* says `num_virtual_tokens` 4",
        _CONFIG | {"num_virtual_tokens": 4},
    ),
    _adapter("no weights", "has no adapter_model.safetensors; PEFT's", weights=None),
    _adapter("empty weights", "safetensors is damaged: it is empty", weights=b""),
    _adapter("a pointer of Git LFS", "git lfs pull", weights=LFS),
    _adapter(
        "float8",
        "should hold the array prompt_embeddings .* holds shared.weight",
        weights=raw_safetensors("F8_E4M3", 4),
    ),
    _adapter(
        "other arrays", "should hold the array prompt_embeddings .*holds x", weights={"x": _PROMPT}
    ),
    _adapter(
        "integers",
        r"holds I8; a prompt is float32, float16 or bfloat16 \(F32",
        weights={"prompt_embeddings": np.ones((5, 6), np.int8)},
    ),
    _adapter(
        "NaN",
        "1 of its 5 rows, the first in row 2",
        weights={"prompt_embeddings": with_value(_PROMPT, (1, 1), np.nan)},
    ),
    # inspect
    _case("inspect: no prompt", "p.npy is missing", f"inspect p.npy {_INSPECT}"),
    _case("inspect: no vocabulary", "v.model is missing", f"inspect p.npy {_INSPECT}", _prompt),
    _case(
        "inspect: no vocabulary's format",
        "v.model is not a complete SentencePiece model",
        f"inspect p.npy {_INSPECT}",
        _prompt,
        _file("v.model", _NO_TEXT),
    ),
    _case(
        "inspect: another model",
        "p.npy is 5 x 8 .* the model's d_model is 6",
        "inspect p.npy --checkpoint ck --vocabulary pieces.model",
        tiny.write_vocabulary,
        _checkpoint,
        lambda folder: prompts.save(folder / "p.npy", np.ones((5, 8), np.float32)),
    ),
    _case(
        "inspect: another vocabulary",
        "pieces.model has .* ids with its extra ids, but the model's embedding has 33 rows",
        "inspect p.npy --checkpoint ck --vocabulary pieces.model",
        tiny.write_vocabulary,
        _checkpoint,
        _prompt,
    ),
    _case(
        "inspect: no such task",
        "There is no task 'poetry'",
        f"inspect p.npy {_INSPECT} --task poetry",
    ),
    _case(
        "inspect: labels twice",
        "by --task or by --labels, not by both",
        f"inspect p.npy {_INSPECT} --task rte --labels yes,no",
    ),
    _case(
        "inspect: a plot of another format",
        "p.jpeg should be a file that ends in .pdf or .png",
        f"inspect p.npy {_INSPECT} --plot p.jpeg",
    ),
    _case(
        "inspect: an existing plot",
        "p.png exists; give another path, or --force",
        f"inspect p.npy {_INSPECT} --plot p.png",
        _file("p.png"),
    ),
]
