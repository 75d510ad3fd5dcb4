"""Errors that a user can correct: a message says what is wrong, where, and what would be right."""

from collections.abc import Iterable


class PromptscaleError(Exception):
    """Base of all errors that are shown to the user without a traceback."""


class ConfigError(PromptscaleError):
    """The configuration cannot be used."""


class StorageError(PromptscaleError):
    """A file, local or in a bucket, is missing or cannot be read or written."""


class CheckpointError(PromptscaleError):
    """A checkpoint or a prompt file is missing, damaged or does not fit the model."""


class DataError(PromptscaleError):
    """A dataset is missing, incomplete or does not match its checksum."""


class ResultsError(PromptscaleError):
    """A table of results is missing, damaged or does not match its schema."""


class TpuError(PromptscaleError):
    """Cloud TPU, the bucket or a host of a slice failed, or refused what was asked."""


def shortened(items: Iterable[object], limit: int = 3) -> str:
    """The first items of a long list, for a message: `a, b, c and 57 more`."""
    texts = [str(item) for item in items]
    rest = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + rest
