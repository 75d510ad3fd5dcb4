"""T5 1.1 in Flax Linen: embeddings and a mask in, logits out."""

from promptscale.model.decoding import beam_search, greedy_search
from promptscale.model.dropout import DropoutKeys
from promptscale.model.network import T5, parameter_shapes

__all__ = ["T5", "DropoutKeys", "beam_search", "greedy_search", "parameter_shapes"]
