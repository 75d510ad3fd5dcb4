"""Adapters of Hugging Face PEFT that hold a prompt.

PEFT (0.21, `peft.PromptTuningConfig`) keeps a prompt in a folder with adapter_config.json and
adapter_model.safetensors, whose only array is `prompt_embeddings`. For an encoder-decoder PEFT's
default is `num_transformer_submodules=2`: it then stores as many rows again, which its prompt
tuning never uses.
"""

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from jaxtyping import Float
from safetensors import SafetensorError

from promptscale.errors import CheckpointError, shortened
from promptscale.storage.atomic import atomic_directory
from promptscale.storage.contents import describe_content
from promptscale.storage.store import Store

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_ARRAY = "prompt_embeddings"
_METHOD = "PROMPT_TUNING"
_TASK = "SEQ_2_SEQ_LM"  # PEFT's name for encoder-decoders
# By safetensors' names.
_DTYPES: dict[str, Any] = {"F32": np.float32, "F16": np.float16, "BF16": jnp.bfloat16}


def read(folder: Store) -> np.ndarray:
    """Reads the prompt of an adapter: the rows that PEFT puts before the encoder's input.

    Raises:
      CheckpointError: the folder is no adapter of prompt tuning of an encoder-decoder, or a file of
        it is missing or damaged.
    """
    length = _prompt_length(folder)
    content = folder.read(WEIGHTS)
    if content is None:
        raise CheckpointError(
            f"The adapter {folder.location} has no {WEIGHTS}; PEFT's `save_pretrained` writes it "
            "(with safe_serialization=True in old versions)."
        )
    file = f"The file {folder.location}/{WEIGHTS}"
    try:
        tensors = dict(safetensors.deserialize(content))
    except SafetensorError as error:
        raise CheckpointError(f"{file} is damaged: {describe_content(content)}.") from error
    if tensors.keys() != {_ARRAY}:
        raise CheckpointError(
            f"{file} should hold the array {_ARRAY} and no other; it holds "
            f"{shortened(sorted(tensors)) or 'none'}."
        )
    tensor = tensors[_ARRAY]
    if tensor["dtype"] not in _DTYPES:
        raise CheckpointError(
            f"{file} holds {tensor['dtype']}; a prompt is float32, float16 or bfloat16 "
            f"({', '.join(_DTYPES)})."
        )
    stored = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
    prompt = stored.astype(np.float32)
    if prompt.ndim != 2 or len(prompt) not in (length, 2 * length):
        raise CheckpointError(
            f"The adapter {folder.location} has an array of shape {prompt.shape}, but its {CONFIG} "
            f"says `num_virtual_tokens` {length}."
        )
    return prompt[:length]


def write(folder: Path, prompt: Float[np.ndarray, "P D"], base_model: str | None) -> None:
    """Writes a prompt as an adapter, for `PeftModel.from_pretrained(model, folder)`.

    Args:
      folder: is replaced atomically.
      prompt: the prompt.
      base_model: the Hugging Face model that the prompt was tuned on, a name or a folder, which
        `AutoPeftModel` loads; None if it is not to be written down.

    Raises:
      CheckpointError: the folder cannot be written.
    """
    config = {
        "peft_type": _METHOD,
        "task_type": _TASK,
        "base_model_name_or_path": base_model,
        "num_virtual_tokens": prompt.shape[0],
        "token_dim": prompt.shape[1],
        "num_transformer_submodules": 1,  # the encoder alone has a prompt
        "prompt_tuning_init": "RANDOM",
        "inference_mode": True,
    }
    with atomic_directory(folder, CheckpointError) as partial:
        arrays = {_ARRAY: np.ascontiguousarray(prompt, np.float32)}
        content = safetensors.numpy.save(arrays, metadata={"format": "pt"})
        (partial / WEIGHTS).write_bytes(content)
        text = json.dumps(config, indent=2) + "\n"
        (partial / CONFIG).write_text(text, encoding="utf-8")


def _prompt_length(folder: Store) -> int:
    """The prompt length in an adapter's configuration."""
    where = f"The file {folder.location}/{CONFIG}"
    content = folder.read(CONFIG) or b""
    try:
        config: Any = json.loads(content)
        method, task = config.get("peft_type"), config.get("task_type")
        length = config.get("num_virtual_tokens")
    except (ValueError, AttributeError) as error:
        clause = describe_content(content)
        raise CheckpointError(f"{where} should be a JSON object of PEFT: {clause}.") from error
    if method != _METHOD or task != _TASK:
        raise CheckpointError(
            f"{where} is of {method} for {task}; a prompt for T5 is of {_METHOD} for {_TASK}."
        )
    if type(length) is not int or length < 1:
        raise CheckpointError(f"{where} should say `num_virtual_tokens`, 1 or more; not {length}.")
    return length
