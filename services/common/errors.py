"""Exceptions of the shared package; a branch says what the caller must do."""

__all__ = ["ConfigurationError", "InvalidMessageError", "PlatformError", "SchemaTooNewError"]


class PlatformError(Exception):
    """Base of every error raised on purpose by the platform."""


class ConfigurationError(PlatformError):
    """Stop: the environment is wrong; the message lists every fault found."""


class InvalidMessageError(PlatformError):
    """Dead-letter: the bytes are no message of a known schema version."""


class SchemaTooNewError(PlatformError):
    """Stop: the database was written by a newer version of this software."""
