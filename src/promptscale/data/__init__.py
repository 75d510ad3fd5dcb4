"""From datasets to batches of token ids; `promptscale.data.raw` alone imports TensorFlow."""
