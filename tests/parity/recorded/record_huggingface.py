"""Records the small case of Hugging Face T5 1.1: `python record_huggingface.py FOLDER`.

It needs torch and transformers, which this project does not install (versions: README.md).
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

ARCHITECTURE = {
    "vocab_size": 64, "d_model": 16, "d_kv": 6, "d_ff": 24, "num_layers": 2,
    "num_decoder_layers": 2, "num_heads": 2, "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 16, "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
DECODED = 8


def build() -> transformers.T5ForConditionalGeneration:
    """A random model in float32 whose norms are not 1, with a head apart from the embedding."""
    torch.manual_seed(0)
    model = transformers.T5ForConditionalGeneration(transformers.T5Config(**ARCHITECTURE)).eval()
    model.lm_head.weight = torch.nn.Parameter(torch.randn(64, 16) / 2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "layer_norm" in name:
                parameter.uniform_(0.5, 1.5)
            elif "relative_attention_bias" in name or "shared" in name:
                parameter.normal_()
            elif "lm_head" not in name:
                parameter.normal_(std=0.3)
    return model


def record(folder: Path) -> None:
    """Writes the configuration, the weights, the numbers and the gradients."""
    model = build()
    draw = np.random.default_rng(0)
    inputs = draw.integers(2, 64, (2, 24))
    inputs[1, 15:] = 0
    labels = draw.integers(2, 64, (2, 6))
    labels[:, -1] = 1
    labels[1, 3:] = [1, 0, 0]
    prompt = draw.uniform(-0.5, 0.5, (5, 16)).astype(np.float32)
    arrays = {
        "input_ids": inputs, "attention_mask": inputs > 0, "labels_pad0": labels,
    }  # fmt: skip
    arrays = {name: array.astype(np.int32) for name, array in arrays.items()} | {"prompt": prompt}

    for mode in ("plain", "prompted"):
        embedded = model.shared(torch.tensor(inputs))
        mask = torch.tensor(inputs > 0)
        tuned = torch.tensor(prompt, requires_grad=True)
        if mode == "prompted":
            embedded = torch.cat([tuned.expand(2, -1, -1), embedded], dim=1)
            mask = torch.cat([torch.ones(2, 5, dtype=torch.bool), mask], dim=1)
        given = {"inputs_embeds": embedded, "attention_mask": mask.long()}
        targets = torch.tensor(np.where(labels > 0, labels, -100))
        model.zero_grad()
        output = model(**given, labels=targets)
        output.loss.backward()
        greedy = model.generate(**given, max_new_tokens=DECODED, do_sample=False, num_beams=1)
        arrays |= {
            f"{mode}_logits": output.logits.detach().numpy(),
            f"{mode}_loss_mean_ce": output.loss.detach().numpy(),
            f"{mode}_encoder_last_hidden": output.encoder_last_hidden_state.detach().numpy(),
            f"{mode}_greedy": greedy.numpy().astype(np.int32),
        }
        if mode == "prompted":
            arrays["prompted_grad_prompt"] = tuned.grad.numpy()
        else:
            gradients = {name: p.grad.clone() for name, p in model.named_parameters()}

    folder.mkdir(parents=True, exist_ok=True)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    about = ARCHITECTURE | {"model_type": "t5", "versions": versions}
    (folder / "config.json").write_text(json.dumps(about, indent=1) + "\n")
    save_file({n: p.detach().clone() for n, p in model.named_parameters()},
              folder / "model.safetensors")  # fmt: skip
    save_file(gradients, folder / "plain_param_grads.safetensors")
    np.savez_compressed(folder / "oracle_hf.npz", **arrays)


if __name__ == "__main__":
    torch.set_default_dtype(torch.float32)
    record(Path(sys.argv[1]))
