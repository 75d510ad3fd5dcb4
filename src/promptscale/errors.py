"""Errors that a user can mend: a message says what, where and what is right."""


class PromptscaleError(Exception):
    """Base of all errors shown to the user without a traceback."""


class ConfigError(PromptscaleError):
    """The configuration is not usable."""


class CheckpointError(PromptscaleError):
    """A checkpoint or a prompt file is missing, damaged or does not fit the model."""


class DataError(PromptscaleError):
    """A dataset is missing, incomplete or not what its checksum says."""


class ResultsError(PromptscaleError):
    """A table of results is missing, damaged or does not have the agreed form."""


class TpuError(PromptscaleError):
    """Cloud TPU, its bucket or a host of a slice did not do what was asked."""
