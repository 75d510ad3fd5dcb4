"""Checkpoints of other libraries, read into flat dictionaries of NumPy arrays."""
