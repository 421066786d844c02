"""Every error is a problem document (RFC 9457) that says what is wrong and what to type instead."""

from http import HTTPStatus

import msgspec
from flask import Flask, Response, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from common.log import get_logger
from web_app.errors import ProblemError

__all__ = ["problem", "register_problems"]

_log = get_logger(__name__)
_RETRY_S = "2"


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return a problem document; ``detail`` is for the person at the other end."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "instance": request.path,
    }
    answer = Response(
        msgspec.json.encode(body), status=int(status), content_type="application/problem+json"
    )
    answer.headers["Cache-Control"] = "no-store"
    answer.headers.update(headers or {})
    return answer


def register_problems(app: Flask) -> None:
    """Answer every error of ``app`` with a problem document."""

    @app.errorhandler(ProblemError)
    def _problem(error: ProblemError) -> Response:
        return problem(error.status, error.detail, error.headers)

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
        if status == HTTPStatus.NOT_FOUND:
            return problem(status, f"nothing is at {request.path}; /api/docs lists what there is")
        headers = {}
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return problem(status, error.description or HTTPStatus(status).description, headers)

    @app.errorhandler(SQLAlchemyError)
    def _store(error: SQLAlchemyError) -> Response:
        _log.error("the store does not answer", error=str(error).partition("\n")[0])
        detail = "the store does not answer; try again in a moment, or see /api/health"
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": _RETRY_S})

    @app.errorhandler(Exception)
    def _fault(error: Exception) -> Response:
        _log.error("fault while answering", path=request.path, exc_info=error)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of ours; the log has the trace")
