"""Parts of the names of jobs, which are parts of paths."""

import hashlib
from collections.abc import Iterable, Sequence

from promptscale.config.tasks import SUPER_GLUE

_LONGEST_PART = 120  # characters of a part of a path, of which file systems allow 255


def tasks_name(tasks: Sequence[str]) -> str:
    """The name of several tasks together: `superglue` for all eight, else such as `boolq+cb`."""
    return "superglue" if sorted(tasks) == sorted(SUPER_GLUE) else "+".join(tasks)


def joined(separator: str, values: Iterable[int]) -> str:
    """The values, or where they are too many for a file's name the first with a hash of all."""
    text = separator.join(map(str, values))
    if len(text) <= _LONGEST_PART:
        return text
    return f"{text.split(separator)[0]}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
