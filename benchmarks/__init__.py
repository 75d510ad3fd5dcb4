"""Benchmarks of training, decoding, memory and control; docs/benchmarks.md has their results."""
