"""The processes of one job: each has some of the devices, and the first one writes.

All of them must call what is said to be for all, in the same order. A process that is alone waits
for nobody.
"""

from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils


def is_primary() -> bool:
    """Whether this process is the one that writes what is not split between processes."""
    return jax.process_index() == 0


def barrier(where: str) -> None:
    """Returns once all processes are here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)


def broadcast_from_primary(read: Callable[[], bytes | None]) -> bytes | None:
    """What the first process reads; the others are told, so that all know the same."""
    if jax.process_count() == 1:
        return read()
    content = read() if is_primary() else None
    length = multihost_utils.broadcast_one_to_all(np.int32(-1 if content is None else len(content)))
    if length < 0:
        return None
    padded = np.zeros(int(length), np.uint8)
    if content is not None:
        padded[:] = np.frombuffer(content, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes()


def all_agree(yes: bool) -> bool:
    """Whether all processes say yes."""
    if jax.process_count() == 1:
        return yes
    return bool(np.all(multihost_utils.process_allgather(np.bool_(yes))))
