"""Recognises by its first bytes a file that is not what was expected."""

import re

# Files that are never what a reader of texts or of arrays expects.
_FOREIGN = [
    (rb"version https://git-lfs", "it is a pointer of Git LFS; `git lfs pull` fetches the file"),
    (rb"\s*<(?i:!doctype|html|\?xml)", "it is a web page, such as a failed download leaves"),
    (rb"\x80[\x02-\x05]", "it is a Python pickle, which is never read as it can run programs"),
    (rb"PK\x03\x04", "it is a zip archive, as Excel's, PyTorch's and .npz files are"),
    (rb"\x89HDF", "it is an HDF5 file"),
    (rb"GGUF", "it is a GGUF file"),
    (rb"PAR1", "it is a Parquet file"),
    (rb"ARROW1", "it is an Arrow file"),
    (rb"BZh", "it is compressed with bzip2; unpack it"),
    (rb"\xfd7zXZ", "it is compressed with xz; unpack it"),
    (rb"\x28\xb5\x2f\xfd", "it is compressed with zstd; unpack it"),
    (rb"\xff\xfe|\xfe\xff", "it is UTF-16 text; save it as UTF-8"),
]
# Further files that are not arrays.
_NOT_ARRAYS = [
    (rb"$", "it is empty"),
    (rb"\x1f\x8b", "it is compressed with gzip; unpack it"),
    (rb"\x93NUMPY", "it begins like a NumPy array (.npy)"),
    (rb".{6}\x00\x00\{", "it begins like a safetensors file, as Hugging Face and PEFT write them"),
    (
        rb"model_checkpoint_path:",
        "it belongs to a TensorFlow checkpoint; T5X's convert_tf_checkpoint.py converts it",
    ),
    (rb"\s*[{\[]", "it is a text, perhaps JSON"),
]


def recognize_foreign(content: bytes) -> str | None:
    """What a file is that holds neither text nor arrays, as a clause; None if nothing shows it."""
    return _match(content, _FOREIGN)


def describe_content(content: bytes) -> str:
    """What a file is that is no array, as a clause; `it is truncated or damaged` if unknown."""
    return _match(content, _FOREIGN + _NOT_ARRAYS) or "it is truncated or damaged"


def _match(content: bytes, beginnings: list[tuple[bytes, str]]) -> str | None:
    start = content[:200]
    clauses = (clause for pattern, clause in beginnings if re.match(pattern, start, re.DOTALL))
    return next(clauses, None)
