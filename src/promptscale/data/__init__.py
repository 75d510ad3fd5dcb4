"""From raw datasets to token arrays. Only some modules here import TensorFlow; none re-export."""
