"""Exceptions of the shared package; a branch says what the caller must do."""

__all__ = [
    "ConfigurationError",
    "InvalidMessageError",
    "PlatformError",
    "SchemaTooNewError",
    "StaleOffsetError",
    "StoreFileError",
]


class PlatformError(Exception):
    """Base of every error raised on purpose by the platform."""


class ConfigurationError(PlatformError):
    """Stop: the environment is wrong; the message lists every fault found."""


class InvalidMessageError(PlatformError):
    """Dead-letter: the bytes are no message of a known schema version."""


class SchemaTooNewError(PlatformError):
    """Stop, unless ``usable``: the database was written by a newer version of this software."""

    def __init__(self, message: str, *, usable: bool) -> None:
        super().__init__(message)
        self.usable = usable  # what this version knows is all there, as it was


class StaleOffsetError(PlatformError):
    """Roll back and reload: the store's offset is not where this consumer has left it."""


class StoreFileError(PlatformError):
    """Stop: a file cannot be read as what it should be, or not be written; the message says why."""
