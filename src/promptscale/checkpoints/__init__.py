"""Checkpoints of T5X and Hugging Face, as dictionaries of arrays under T5X's flat names."""
