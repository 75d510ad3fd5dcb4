"""From tables of results to the paper's figures, tables and claims; without JAX and TensorFlow."""
