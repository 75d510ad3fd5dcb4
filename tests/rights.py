"""Acting as a user whose rights count, as those of root do not."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def another_user() -> Iterator[None]:
    """Acts as a user without rights if the tests run as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
