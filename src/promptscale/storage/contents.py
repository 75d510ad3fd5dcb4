"""Recognises by its first bytes a file that is not what was expected."""

import re

_BEGINNINGS = [
    (rb"$", "it is empty"),
    (rb"version https://git-lfs", "it is a pointer of Git LFS; `git lfs pull` fetches the file"),
    (rb"\s*<(?i:!doctype|html|\?xml)", "it is a web page, such as a failed download leaves"),
    (rb"\x80[\x02-\x05]", "it is a Python pickle, which is never read as it can run programs"),
    (rb"PK\x03\x04", "it is a zip archive, as PyTorch's checkpoints and .npz files are"),
    (rb"\x1f\x8b", "it is compressed with gzip; unpack it"),
    (rb"\x89HDF", "it is an HDF5 file"),
    (rb"\x93NUMPY", "it begins like a NumPy array (.npy)"),
    (rb".{6}\x00\x00\{", "it begins like a safetensors file, as Hugging Face and PEFT write them"),
    (rb"GGUF", "it is a GGUF file"),
    (
        rb"model_checkpoint_path:",
        "it belongs to a TensorFlow checkpoint; T5X's convert_tf_checkpoint.py converts it",
    ),
    (rb"\s*[{\[]", "it is a text, perhaps JSON"),
]


def describe_content(content: bytes) -> str:
    """What a file is that cannot be read, as a clause; `it is truncated or damaged` if unknown."""
    start = content[:200]
    for pattern, clause in _BEGINNINGS:
        if re.match(pattern, start, re.DOTALL):
            return clause
    return "it is truncated or damaged"
