"""Stands for a training; the benchmark's slices answer for it without running it."""
