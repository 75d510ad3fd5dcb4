"""What is set for a process before JAX computes: variables of JAX, XLA and malloc.

Nothing here imports JAX.
"""

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

_GPU, _TPU = "jax_cuda13_plugin", "libtpu"  # the plugins of JAX

# XLA's YNN library on the CPU makes single matrix products faster, and its fusions of products with
# other operations make the steps of these models slower (docs/benchmarks.md).
_CPU_FLAGS = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"

# XLA's own matrix products (Triton) are slower than cuBLAS's for these models (docs/benchmarks.md).
_GPU_FLAGS = "--xla_gpu_enable_triton_gemm=false"

# Options of glibc's `mallopt`, from malloc.h, and their values.
_MALLOC = {
    -8: 1,  # M_ARENA_MAX: all threads allocate from the same memory
    -4: 0,  # M_MMAP_MAX: large blocks come from that memory, too
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD: up to 2 GB of freed memory stay with the process
}


def configure_jax(threads: int, cache: Path) -> None:
    """Sets the number of CPU threads and the folder of compiled programs, which processes share.

    Variables that are set already keep their values. JAX must be imported later.
    """
    variables = {
        "PJRT_NPROC": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "JAX_COMPILATION_CACHE_DIR": str(cache.expanduser()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    for name, value in variables.items():
        os.environ.setdefault(name, value)
    configure_xla()


def configure_xla() -> None:
    """Sets up XLA for a GPU or a CPU, and malloc for a CPU; a TPU needs nothing.

    It must be called before JAX computes anything. XLA's programs for a CPU allocate their
    temporary memory in each call. By default the system provides that memory anew, page by page,
    which takes a fifth of a training step (docs/benchmarks.md).
    """
    if importlib.util.find_spec(_TPU):
        return
    if importlib.util.find_spec(_GPU):
        os.environ.setdefault("XLA_FLAGS", _GPU_FLAGS)
        return
    os.environ.setdefault("XLA_FLAGS", _CPU_FLAGS)
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for option, value in _MALLOC.items():
            libc.mallopt(option, value)
