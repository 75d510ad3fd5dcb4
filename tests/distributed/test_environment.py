"""The environment of a process that computes."""

import importlib.util
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource, sys, threading
from promptscale.distributed.environment import configure_xla

if sys.argv[1] == "configured":
    configure_xla()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes, size = [ctypes.c_void_p], 10**8

def use():
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        block = libc.malloc(size)
        ctypes.memset(block, 1, size)
        libc.free(block)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = threading.Thread(target=use)
thread.start()
thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="`mallopt` is a function of Linux")
@pytest.mark.skipif(
    any(map(importlib.util.find_spec, ("jax_cuda13_plugin", "libtpu"))),
    reason="this environment computes on an accelerator",
)
def test_memory_that_a_thread_freed_is_used_again_without_a_page_fault():
    faults = {}
    for mode in ("default", "configured"):
        command = [sys.executable, "-c", PROGRAM, mode]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        faults[mode] = [int(line) for line in output.split()]
    assert min(faults["default"]) > 100  # each time anew
    assert max(faults["configured"][1:]) < 10
