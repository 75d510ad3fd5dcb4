"""The architecture of a checkpoint, from the names and shapes of its arrays."""

import re

from promptscale.checkpoints.fit import EMBEDDING, check_arrays
from promptscale.checkpoints.read import open_unchecked
from promptscale.config.sizes import SIZES, ModelConfig
from promptscale.model import parameter_shapes

_LAYER = re.compile(r"(encoder|decoder)/layers_(\d+)/.*")
_QUERY = "encoder/layers_0/attention/query/kernel"
_GATE = "encoder/layers_0/mlp/wi_0/kernel"
_POSITIONS = "encoder/relpos_bias/rel_embedding"


def read_architecture(location: str) -> ModelConfig:
    """The architecture of the T5 1.1 at `location`, in any format; no array is read.

    The largest distance of relative positions leaves no trace in a checkpoint: it is T5's, 128.

    Raises:
      CheckpointError: nothing can be read there, or the arrays are not those of a T5 1.1.
    """
    checkpoint = open_unchecked(location, with_optimizer=False)
    shapes = {name: array.shape for name, array in checkpoint.params.items()}
    ranks = [len(shapes.get(name, ())) for name in (EMBEDDING, _QUERY, _GATE, _POSITIONS)]
    if ranks != [2, 2, 2, 2]:
        # The comparison with a T5 1.1 names what is missing, and what the checkpoint is instead.
        check_arrays(location, checkpoint, parameter_shapes(SIZES["small"]))
    heads, buckets = shapes[_POSITIONS]
    layers = [match.groups() for name in shapes if (match := _LAYER.fullmatch(name))]
    numbers = {tower: {number for part, number in layers if part == tower}
               for tower in ("encoder", "decoder")}  # fmt: skip
    architecture = ModelConfig(
        d_model=shapes[EMBEDDING][1],
        d_ff=shapes[_GATE][1],
        num_encoder_layers=len(numbers["encoder"]),
        num_decoder_layers=max(1, len(numbers["decoder"])),
        num_heads=heads,
        head_dim=max(1, shapes[_QUERY][1] // heads),
        vocab_size=shapes[EMBEDDING][0],
        relative_attention_num_buckets=buckets,
    )
    check_arrays(location, checkpoint, parameter_shapes(architecture))
    return architecture
