"""Errors of the operating system and of TensorStore as one sentence that names the file."""

import contextlib
import re
from collections.abc import Iterator

from promptscale.errors import PromptscaleError


@contextlib.contextmanager
def named_errors(what: str, error: type[PromptscaleError]) -> Iterator[None]:
    """Raises `error` for errors of files and of TensorStore: `what`, a colon and the reason."""
    try:
        yield
    except (ValueError, OSError) as cause:
        raise error(f"{what}: {reason(cause, what)}.") from cause


def reason(cause: Exception, what: str = "") -> str:
    """The reason in an error, on a single line without a full stop.

    Of an OSError it is the system's words, and the error's file if `what` does not name it. Of
    TensorStore's errors it is the message without the status code and without the long spec.
    """
    if isinstance(cause, OSError) and cause.strerror:
        is_named = cause.filename is None or f" {cause.filename} " in what
        words = cause.strerror if is_named else f"{cause.strerror}: {cause.filename}"
    else:
        words = re.sub(r"^[A-Z_]+: | \[tensorstore_spec=.*", "", str(cause), flags=re.DOTALL)
    return " ".join(words.split()).rstrip(".")
