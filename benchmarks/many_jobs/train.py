"""Stands for a training; the simulated hosts of the benchmark do not run it."""
