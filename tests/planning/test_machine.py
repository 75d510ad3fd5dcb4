"""Cores and memory are those of the machine, or of the container if it has less."""

import os
from pathlib import Path

import pytest

from promptscale.planning.machine import available_cores, available_memory_mb

CORES = len(os.sched_getaffinity(0))
MEMORY_MB = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10**6


@pytest.fixture
def machine(tmp_path):
    """Writes `proc` and `sys` of a machine below a folder, and returns it."""

    def write(groups: str, **files: str) -> Path:
        for path, content in {"proc/self/cgroup": groups, **files}.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content + "\n")
        return tmp_path

    return write


def test_without_control_groups_all_of_the_machine_is_available(tmp_path):
    assert available_cores(tmp_path) == CORES
    assert available_memory_mb(tmp_path) == MEMORY_MB


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", CORES), ("100000 100000", 1), ("50000 100000", 1), ("99900000 100000", CORES)],
)
def test_a_quota_of_the_second_version_bounds_the_cores(machine, quota, cores):
    root = machine("0::/", **{"sys/fs/cgroup/cpu.max": quota})
    assert available_cores(root) == cores


def test_limits_of_the_first_version(machine):
    files = {
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "512000000",
    }
    root = machine("4:memory:/docker/1\n1:cpu,cpuacct:/docker/1\n0::/", **files)
    assert available_cores(root) == 1 and available_memory_mb(root) == 512


def test_no_quota_of_the_first_version(machine):
    files = {
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    }
    root = machine("4:memory:/\n1:cpu,cpuacct:/", **files)
    assert available_cores(root) == CORES and available_memory_mb(root) == MEMORY_MB


def test_the_least_limit_of_a_group_and_those_above_it_counts(machine):
    files = {
        "sys/fs/cgroup/user/job/memory.max": "900000000",
        "sys/fs/cgroup/user/memory.max": "300000000",
        "sys/fs/cgroup/memory.max": "max",
    }
    assert available_memory_mb(machine("0::/user/job", **files)) == 300
