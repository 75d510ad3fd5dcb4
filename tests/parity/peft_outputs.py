"""Runs an adapter in PEFT and saves what the model answers; it knows nothing of promptscale.

    python peft_outputs.py MODEL ADAPTER CASE.npz OUT

MODEL is a Hugging Face folder, ADAPTER an adapter's folder. The case has `inputs` [B, S] and
`targets` [B, T], padded with 0, and `length`. OUT gets outputs.npz, with `logits` [B, T, V] of the
targets and `generated` [B, length] (greedy; 0 after EOS), and `adapter`, the adapter as PEFT
saves it.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from transformers import T5ForConditionalGeneration

model_folder, adapter, case, out = sys.argv[1:]
recorded = np.load(case)
inputs, targets = (
    torch.from_numpy(recorded[name].astype(np.int64)) for name in ("inputs", "targets")
)
length = int(recorded["length"])
frozen = T5ForConditionalGeneration.from_pretrained(model_folder, dtype=torch.float32)
model = PeftModel.from_pretrained(frozen, adapter).eval()
mask = (inputs > 0).long()
with torch.inference_mode():
    shifted = torch.nn.functional.pad(targets[:, :-1], (1, 0))
    logits = model(input_ids=inputs, attention_mask=mask, decoder_input_ids=shifted).logits
    ids = model.generate(
        input_ids=inputs, attention_mask=mask, max_new_tokens=length, do_sample=False, num_beams=1
    )[:, 1:]
generated = np.zeros((len(inputs), length), np.int32)
generated[:, : ids.shape[1]] = ids.numpy()
np.savez(Path(out) / "outputs.npz", logits=logits.numpy(), generated=generated)
model.save_pretrained(str(Path(out) / "adapter"))
