"""The architecture of a T5 1.1, read off the shapes of a checkpoint's arrays."""

import re

from promptscale.checkpoints import recognize
from promptscale.checkpoints.fit import EMBEDDING
from promptscale.checkpoints.t5x import Checkpoint
from promptscale.config.sizes import ModelConfig
from promptscale.errors import CheckpointError

_BIAS = "encoder/relpos_bias/rel_embedding"  # [H, buckets]
_QUERY = "encoder/layers_0/attention/query/kernel"  # [D, H * head_dim]
_MLP = "encoder/layers_0/mlp/wi_0/kernel"  # [D, F]


def architecture_of(location: str, checkpoint: Checkpoint) -> ModelConfig:
    """The architecture that an opened checkpoint is of; `location` is for messages.

    A checkpoint does not show `relative_attention_max_distance`; it is T5's, 128. Other arrays than
    the embedding and the first encoder layer are not looked at; `fit.check_arrays` compares all.

    Raises:
      CheckpointError: the arrays that show the architecture are not there, or are no matrices.
    """
    params = checkpoint.params
    for name in (EMBEDDING, _BIAS, _QUERY, _MLP):
        if name not in params or len(params[name].shape) != 2:
            reason = recognize.describe_arrays(params) or f"it has no matrix {name}"
            raise CheckpointError(f"The checkpoint {location} is not a T5 1.1: {reason}.")
    heads, buckets = params[_BIAS].shape
    return ModelConfig(
        vocab_size=params[EMBEDDING].shape[0],
        d_model=params[EMBEDDING].shape[1],
        d_ff=params[_MLP].shape[1],
        num_encoder_layers=_layers("encoder", checkpoint),
        num_decoder_layers=_layers("decoder", checkpoint),
        num_heads=heads,
        head_dim=params[_QUERY].shape[1] // heads,
        relative_attention_num_buckets=buckets,
    )


def _layers(tower: str, checkpoint: Checkpoint) -> int:
    """The number of layers of a tower that have arrays."""
    matches = (re.match(rf"{tower}/layers_(\d+)/", name) for name in checkpoint.params)
    return len({match[1] for match in matches if match})
