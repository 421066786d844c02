"""Exceptions of the forecaster; a branch says what the caller must do."""

from common.errors import PlatformError

__all__ = [
    "ArtefactError",
    "ForecastError",
    "NotEnoughDataError",
    "RecordingError",
    "TrainingUnderWayError",
]


class ForecastError(PlatformError):
    """Base of every error that the forecaster raises on purpose."""


class ArtefactError(ForecastError):
    """Use the model before: a stored one is corrupt, incomplete or of another format."""


class NotEnoughDataError(ForecastError):
    """Try again later: too little has been stored to train on."""


class RecordingError(ForecastError):
    """Stop: a file given to the backtest cannot be read as a known format."""


class TrainingUnderWayError(ForecastError):
    """Wait: another process trains on the same feed, and one at a time writes models."""
