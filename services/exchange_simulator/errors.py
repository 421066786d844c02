"""Exceptions of the simulator; both mean: stop and say what to change."""

from common.errors import ConfigurationError

__all__ = ["FaultScriptError", "RecordingError"]


class RecordingError(ConfigurationError):
    """Stop: the recording cannot be read or has no usable rows."""


class FaultScriptError(ConfigurationError):
    """Stop or refuse: a fault is not one that we know how to make."""
