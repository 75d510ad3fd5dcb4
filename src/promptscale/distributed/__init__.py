"""Devices and processes: the mesh that a job computes on, and communication between processes."""
