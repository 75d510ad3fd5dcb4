"""The cores and the memory that this process may use: of the machine, or of its container."""

import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")


def available_cores(root: Path = _ROOT) -> int:
    """The number of cores: those of the affinity, or the quota of a control group if it is less.

    A part of a core in a quota does not count, but there is at least one core. `root` is the folder
    that holds `proc` and `sys`.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    for group in _control_groups("cpu", root):
        quota, period = (*_words(group / "cpu.max"), "", "")[:2]
        quota = quota or "".join(_words(group / "cpu.cfs_quota_us"))
        period = period or "".join(_words(group / "cpu.cfs_period_us"))
        if quota.isdigit() and period.isdigit() and int(period):
            cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def available_memory_mb(root: Path = _ROOT) -> int:
    """The memory in MB (10^6 bytes): the machine's, or the limit of a control group if less."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for group in _control_groups("memory", root):
        for name in ("memory.max", "memory.limit_in_bytes"):
            memory = min([memory, *(int(word) for word in _words(group / name) if word.isdigit())])
    return memory // 10**6


def _control_groups(controller: str, root: Path) -> Iterator[Path]:
    """The folders of this process's control groups of both versions, and of all groups above.

    A container sees its own group as the top folder, whatever path `/proc/self/cgroup` names.
    """
    top = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounted = top
        elif controller in controllers.split(","):
            mounted = top / controller
        else:
            continue
        folder = Path(path.lstrip("/"))
        yield from (mounted / part for part in (folder, *folder.parents))


def _words(file: Path) -> list[str]:
    """The words in a file; none where it is missing."""
    try:
        return file.read_text(encoding="utf-8").split()
    except OSError:
        return []
