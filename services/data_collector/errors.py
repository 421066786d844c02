"""Exceptions of the collector; a branch says what the caller must do."""

from common.errors import ConfigurationError, PlatformError

__all__ = [
    "AnswerError",
    "BackOffError",
    "CollectorError",
    "RefusedForGoodError",
    "RetryError",
    "SpoolError",
    "UnsupportedSymbolError",
    "VenueError",
]


class CollectorError(PlatformError):
    """Base of every error raised on purpose by the collector."""


class VenueError(CollectorError):
    """Asking a venue failed: ask the next one for this second."""


class RetryError(VenueError):
    """Retry soon: time-out, reset, TLS failure, 5xx; the outcome is unknown."""


class BackOffError(VenueError):
    """Back off: the venue limits us (429) or has banned us for a while (418)."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RefusedForGoodError(VenueError):
    """Fail over for good: the venue does not serve this place (451) or this address (403)."""


class UnsupportedSymbolError(VenueError):
    """Do not ask this venue for this symbol again; its other symbols are not concerned."""


class AnswerError(VenueError):
    """Dead-letter: the answer is not what the venue documents, or its values are absurd."""

    def __init__(self, reason: str, detail: str, payload: bytes) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.payload = payload


class SpoolError(CollectorError, ConfigurationError):
    """Stop: the spool's directory cannot be used."""
