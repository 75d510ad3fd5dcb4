"""The environment variables that JAX reads when it is imported; nothing here imports JAX."""

import importlib.util
import os
from pathlib import Path

_ACCELERATORS = ("jax_cuda13_plugin", "libtpu")  # JAX's plugins for GPU and TPU
# XLA's YNN library on the CPU makes single matrix products faster, and its fusions of products with
# other operations make the steps of these models slower (docs/benchmarks.md).
CPU_FLAGS = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"


def set_jax_variables(threads: int, cache: Path) -> None:
    """Sets the number of CPU threads and the folder of compiled programs, which processes share.

    Variables that are set already keep their values.
    """
    variables = {
        "PJRT_NPROC": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "JAX_COMPILATION_CACHE_DIR": str(cache.expanduser()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    if not any(map(importlib.util.find_spec, _ACCELERATORS)):
        variables["XLA_FLAGS"] = CPU_FLAGS
    for name, value in variables.items():
        os.environ.setdefault(name, value)
