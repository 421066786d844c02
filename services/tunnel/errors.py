"""What may go wrong on the way to a pod, by what the caller must do."""

__all__ = ["LostError", "NoPodError", "RefusedError", "TunnelError"]


class TunnelError(Exception):
    """Base of all of them."""


class RefusedError(TunnelError):
    """This pod took nothing: whatever was sent may go to another one."""


class LostError(TunnelError):
    """The connection to a pod broke: what it had taken is not known."""


class NoPodError(TunnelError):
    """No pod was ready in time; the text says so to people."""
