"""Recognises checkpoints that are not read, and says what they are and how they are converted."""

import re
from collections.abc import Iterable

from promptscale.errors import shortened

_WRITE = "and write the arrays with `promptscale.checkpoints.t5x.write`"
_SAVE = "call `save_pretrained`, which writes model.safetensors"

ORBAX = (
    "it is an Orbax checkpoint (OCDBT), which is not read; restore it with Orbax "
    f"{_WRITE}, or save it in T5X with --gin.train.use_orbax=False"
)

# The names of files and folders in a checkpoint's folder, and what such a folder is. The first line
# that matches counts. `{name}` is the last of the names that match.
_NAMES = [
    (r"manifest\.ocdbt|_CHECKPOINT_METADATA|_METADATA|_sharding|ocdbt\.process_\d+", ORBAX),
    (
        r"adapter_config\.json|adapter_model\..*",
        "it is an adapter of PEFT ({name}), not a model; name the model that it was trained on",
    ),
    (
        r"model\.safetensors(\.index\.json)?",
        "it is a Hugging Face model, but {name} is not a local file; copy the folder to a disk",
    ),
    (
        r"model-\d+-of-\d+\.safetensors",
        "it has shards of a Hugging Face model, but not their index model.safetensors.index.json",
    ),
    (r".*\.safetensors", "it has {name}, but the file of a model is called model.safetensors"),
    (
        r".*\.(bin|pt|pth|ckpt)|.*\.bin\.index\.json",
        f"{{name}} is pickled by PyTorch and is not read; load it with transformers and {_SAVE}",
    ),
    (
        r"flax_model.*\.msgpack.*",
        f"{{name}} is of transformers' Flax models; load it there with from_flax=True and {_SAVE}",
    ),
    (
        r".*\.(h5|keras)",
        f"{{name}} is of transformers' TensorFlow models; load it with from_tf=True and {_SAVE}",
    ),
    (
        r".*\.ckpt-\d+\..*|.*\.data-\d+-of-\d+",
        "it is a TensorFlow checkpoint ({name}), which T5X's convert_tf_checkpoint.py converts",
    ),
    (r"saved_model\.pb", "it is a SavedModel of TensorFlow, whose arrays are not read"),
    (r".*\.(gguf|onnx)", "{name} is a format for inference; name the model that it was made from"),
    (r"snapshots", "it is the cache of the Hugging Face hub; name a folder below {name}/"),
    (
        r"checkpoint[-_]\d+",
        "it is the folder of a run; name a checkpoint in it, such as {name}",
    ),
    (
        r".*tmp[-_.]?\d+",
        "it holds {name}, which is the unfinished write of a checkpoint",
    ),
    (r"state|default|items", ORBAX),
    (r".*\.(npy|npz)|.*\.prompt\.prompt", "{name} is a prompt or an array, not a checkpoint"),
]

# The names of a checkpoint's arrays, and what such a checkpoint is.
_ARRAYS = [
    (
        r"(encoder/encoder|decoder/decoder|(en|de)coder/layers)/.*",
        f"its layers are scanned (Scalable T5); cut its arrays along the axis of layers {_WRITE}",
    ),
    (
        r".*/mlp/wi/kernel|.*DenseReluDense\.wi\.weight",
        "it is a T5 1.0 (MLP with ReLU, head shared with the embedding), and the model is T5 1.1",
    ),
    (r".*lora_.*|base_model\..*|prompt_encoder.*", "it is an adapter of PEFT, not a model"),
    (
        r".*/prompt/.*",
        "it holds a prompt and the model that it was trained on; name the checkpoint of the model",
    ),
    (r".*/SelfAttention/.*", f"it is of transformers' Flax models; load it there and {_SAVE}"),
]


def describe_folder(names: Iterable[str]) -> str:
    """What a folder is that holds files of these names but no checkpoint, as a clause."""
    ordered = sorted(names, key=lambda name: (len(name), name))
    if not ordered:
        return "it is empty"
    for pattern, clause in _NAMES:
        if matching := [name for name in ordered if re.fullmatch(pattern, name)]:
            return clause.format(name=matching[-1])
    return f"it holds {shortened(ordered)}"


def describe_arrays(names: Iterable[str]) -> str:
    """What a checkpoint with arrays of these names is, as a clause; empty if it looks like T5's."""
    names = list(names)
    for pattern, clause in _ARRAYS:
        if any(re.fullmatch(pattern, name) for name in names):
            return clause
    return ""
