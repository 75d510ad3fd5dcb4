"""Settings of a process that computes on CPUs."""

import ctypes
import importlib.util
import os
import sys

_ACCELERATORS = ("jax_cuda13_plugin", "libtpu")  # JAX's plugins for GPU and TPU

# XLA's YNN library on the CPU makes single matrix products faster, and its fusions of products with
# other operations make the steps of these models slower (docs/benchmarks.md).
_XLA_FLAGS = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"

# Options of glibc's `mallopt`, from malloc.h, and their values.
_MALLOC = {
    -8: 1,  # M_ARENA_MAX: all threads allocate from the same memory
    -4: 0,  # M_MMAP_MAX: large blocks come from that memory, too
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD: up to 2 GB of freed memory stay with the process
}


def configure() -> None:
    """Sets up XLA and malloc for a CPU; does nothing where JAX has a plugin for an accelerator.

    It must be called before JAX computes anything. XLA's programs allocate their temporary memory
    in each call. By default the system provides that memory anew, page by page, which takes a fifth
    of a training step (docs/benchmarks.md).
    """
    if any(map(importlib.util.find_spec, _ACCELERATORS)):
        return
    os.environ.setdefault("XLA_FLAGS", _XLA_FLAGS)
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for option, value in _MALLOC.items():
            libc.mallopt(option, value)
