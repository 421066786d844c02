"""Exceptions of the web application."""

from http import HTTPStatus

from common.errors import PlatformError

__all__ = ["ProblemError", "TooManyStreamsError", "WebError"]


class WebError(PlatformError):
    """Base of the errors of the web application."""


class ProblemError(WebError):
    """Answer the client with a problem document: ``detail`` says what is wrong and what to type."""

    def __init__(self, status: HTTPStatus, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class TooManyStreamsError(WebError):
    """Refuse the stream: the cap is reached; the client polls and tries again later."""
