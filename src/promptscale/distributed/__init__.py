"""Devices and processes: the mesh that a training runs on, and what its processes agree about."""
