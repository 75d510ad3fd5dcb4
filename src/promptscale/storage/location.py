"""Locations: where a file or folder is, on the local disk or in a Google Cloud Storage bucket."""

import posixpath
import re
from pathlib import Path

from promptscale.errors import PromptscaleError, StorageError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/|(?i:gs):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# https://cloud.google.com/storage/docs/buckets#naming
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


def is_remote(location: str) -> bool:
    """Whether a location is in a bucket: `gs://bucket/prefix`."""
    return location.startswith("gs://")


def resolve(location: str, error: type[PromptscaleError] = StorageError) -> str:
    """The location that a user's text names.

    A local path becomes absolute, from the working directory, with `~` expanded; links and `..`
    stay. A location in a bucket keeps its form `gs://bucket/prefix`, without empty parts and `..`.

    Raises:
      `error`: the text is empty, has control characters or blanks around it, names another
        scheme, an unknown user or an impossible bucket.
    """
    if not location or location != location.strip() or _CONTROL.search(location):
        raise error(
            f"{location!r} is no location: it is empty, or has blanks around it or control "
            "characters in it; a location is a local path or gs://bucket/folder."
        )
    if is_remote(location):
        bucket, _, prefix = location.removeprefix("gs://").partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise error(
                f"{location} names no bucket: {bucket!r} should have 3 or more lower-case letters, "
                "digits, '-', '_' and '.'."
            )
        return f"gs://{bucket}{posixpath.normpath('/' + prefix.lstrip('/'))}".rstrip("/")
    if _SCHEME.match(location):
        raise error(
            f"{location} cannot be read: a location is a local path or gs://bucket/folder, "
            "with two slashes and in lower-case letters."
        )
    try:
        return str(Path(location).expanduser().absolute())
    except RuntimeError as cause:
        raise error(f"{location} begins with the home folder of an unknown user.") from cause
