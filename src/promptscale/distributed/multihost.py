"""Communication between the processes of a job; process 0 is the primary process, which writes.

All processes must call `barrier`, `broadcast_from_primary` and `all_agree`, in the same order. In a
job of a single process these functions return at once.
"""

from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

from promptscale.errors import PromptscaleError

_MISSING, _CONTENT, _ERROR = b"m", b"c", b"e"  # the first byte of a broadcast message


def is_primary() -> bool:
    """Whether this is process 0, which writes every file that processes do not share."""
    return jax.process_index() == 0


def barrier(name: str) -> None:
    """Waits until all processes have called `barrier` with this name."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def broadcast_from_primary(read: Callable[[], bytes | None]) -> bytes | None:
    """Calls `read` on process 0 and returns its result on all processes.

    Raises:
      Exception: on process 0, what `read` raises.
      PromptscaleError: on the other processes, with the message of process 0's exception.
    """
    if jax.process_count() == 1:
        return read()
    message, error = b"", None
    if is_primary():
        try:
            content = read()
            message = _MISSING if content is None else _CONTENT + content
        except Exception as caught:
            message, error = _ERROR + str(caught).encode(), caught
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(message))))
    buffer = np.frombuffer(message.ljust(length, b"\0"), np.uint8)
    message = np.asarray(multihost_utils.broadcast_one_to_all(buffer)).tobytes()
    if error is not None:
        raise error
    if message[:1] == _ERROR:
        raise PromptscaleError(f"Process 0 failed to read: {message[1:].decode()}")
    return message[1:] if message[:1] == _CONTENT else None


def all_agree(vote: bool) -> bool:
    """Whether `vote` is true on all processes."""
    if jax.process_count() == 1:
        return vote
    return bool(np.all(multihost_utils.process_allgather(np.bool_(vote))))
