"""TFDS, local files and the generated miniature: the only folder that imports TensorFlow."""
