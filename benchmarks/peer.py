"""Hugging Face PEFT's prompt tuning, set up as fast as its users can have it.

A prompt for the encoder alone (`num_transformer_submodules=1`), `sdpa` attention, inputs padded to
the longest of their batch, denormal numbers flushed to zero, the frozen model in the compute dtype,
Adafactor without a schedule, and `torch.compile` where the case asks for it. It imports torch,
transformers and PEFT, and nothing of promptscale: it runs in the environment of envs/bench.lock.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers
from peft import PromptTuningConfig, get_peft_model
from transformers import T5Config, T5ForConditionalGeneration
from transformers.optimization import Adafactor

from benchmarks.cases import initial_prompt

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def prepare(case: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """The work of a case, see `benchmarks.cases.Case`."""
    torch.set_num_threads(case["cores"])
    torch.set_flush_denormal(True)
    transformers.logging.set_verbosity_error()
    if case["mode"] == "matmul":
        return matmul(case)
    model = prompted_model(case)
    return decoding(case, model) if case["mode"] == "decode" else training(case, model)


def prompted_model(case: dict[str, Any]) -> Any:
    """A frozen T5 1.1 with a trainable prompt of float32."""
    dtype = getattr(torch, case["dtype"])
    shape = case["architecture"]
    if case["weights"]:
        frozen = T5ForConditionalGeneration.from_pretrained(
            case["weights"], dtype=dtype, attn_implementation="sdpa"
        )
    else:
        config = T5Config(
            d_model=shape["d_model"], d_kv=shape["head_dim"], d_ff=shape["d_ff"],
            num_layers=shape["num_encoder_layers"], num_heads=shape["num_heads"],
            num_decoder_layers=shape["num_decoder_layers"], vocab_size=shape["vocab_size"],
            feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0,
            attn_implementation="sdpa",
        )  # fmt: skip
        default = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        with torch.device(DEVICE):
            frozen = T5ForConditionalGeneration(config)
        torch.set_default_dtype(default)
    for module in frozen.modules():  # `train()` acts as the evaluation does
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    frozen.config.dropout_rate = 0.0
    for module in frozen.modules():
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    settings = PromptTuningConfig(
        task_type="SEQ_2_SEQ_LM",
        num_virtual_tokens=case["prompt_length"],
        num_transformer_submodules=1,
    )
    model = get_peft_model(frozen.to(DEVICE), settings).to(DEVICE).train()
    prompt = initial_prompt(0, case["prompt_length"], shape["d_model"])
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with torch.no_grad():
        (parameter,) = trained
        parameter.copy_(torch.from_numpy(prompt))
    return model


def padded(sequences: list[list[int]], padding: int) -> torch.Tensor:
    """Sequences as an array of the longest's length."""
    array = np.full((len(sequences), max(map(len, sequences))), padding, np.int64)
    for row, sequence in zip(array, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(array).to(DEVICE)


def training(case: dict[str, Any], model: Any) -> Callable[[], dict[str, Any]]:
    """Steps on the case's batches, one after another."""
    (parameter,) = (parameter for parameter in model.parameters() if parameter.requires_grad)
    optimizer = Adafactor([parameter], lr=0.3, relative_step=False, scale_parameter=False)
    forward = torch.compile(model) if case["compiled"] else model
    batches = [
        (padded(run["inputs"], 0), padded(run["targets"], -100))
        for batch in case["batches"]
        for run in batch
    ]
    positions = sum(
        len(inputs) * (case["prompt_length"] + inputs.shape[1] + labels.shape[1])
        for inputs, labels in batches
    )

    def repeat() -> dict[str, Any]:
        losses = []
        for inputs, labels in batches:
            output = forward(input_ids=inputs, attention_mask=(inputs > 0).long(), labels=labels)
            output.loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(output.loss.detach())
        return {"losses": torch.stack(losses).tolist(), "positions": positions, **memory()}

    return repeat


def decoding(case: dict[str, Any], model: Any) -> Callable[[], dict[str, Any]]:
    """Greedy decoding of all examples, sorted by length, in batches of `decode_batch`."""
    sequences = sorted(case["batches"][0][0]["inputs"], key=len, reverse=True)
    size = case["decode_batch"]
    batches = [
        padded(sequences[start : start + size], 0) for start in range(0, len(sequences), size)
    ]
    model.eval()

    def repeat() -> dict[str, Any]:
        tokens = 0
        for inputs in batches:
            with torch.inference_mode():
                ids = model.generate(
                    input_ids=inputs,
                    attention_mask=(inputs > 0).long(),
                    max_new_tokens=case["decode_length"],
                    do_sample=False,
                    num_beams=1,
                )
            tokens += int((ids[:, 1:] > 0).sum())
        return {"tokens": tokens, **memory()}

    return repeat


def matmul(case: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """Products of two matrices of the case's shape."""
    rows, inner, columns = case["matmul"]
    left, right = (
        torch.randn(shape, device=DEVICE).to(getattr(torch, case["dtype"]))
        for shape in ((rows, inner), (inner, columns))
    )

    def repeat() -> dict[str, Any]:
        for _ in range(case["repeats"]):
            left @ right
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        return {}

    return repeat


def memory() -> dict[str, int]:
    """The most memory that tensors took on the GPU; nothing on a CPU."""
    if DEVICE == "cpu":
        return {}
    torch.cuda.synchronize()
    return {"peak_bytes": torch.cuda.max_memory_allocated()}


def versions() -> dict[str, str]:
    """The versions of what is compared with."""
    import peft

    return {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
    }
