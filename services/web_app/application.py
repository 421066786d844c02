"""The Flask application: routes, errors, headers."""

import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import Histogram

from web_app import metrics
from web_app.api.answers import compressed
from web_app.api.current import add_current
from web_app.api.export import add_export
from web_app.api.health import add_health
from web_app.api.history import add_history
from web_app.api.legacy import add_legacy
from web_app.api.openapi import add_openapi
from web_app.api.problems import register_problems
from web_app.api.status import add_status
from web_app.api.stream import add_stream
from web_app.guard import add_guard
from web_app.pages import add_pages
from web_app.runtime import Runtime

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["create_app"]

_MAX_BODY = 16 * 1024  # nothing here takes a body
# No inline script or style, nothing from outside, not to be framed.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = tuple(
    {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }.items()
)


def create_app(runtime: Runtime) -> Flask:
    """Return the application over a runtime, started or not."""
    app = Flask("web_app", static_folder=None, root_path=str(Path(__file__).parent))
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    register_problems(app)
    settings = runtime.settings

    @app.before_request
    def _begin() -> None:
        g.start = time.perf_counter()

    add_guard(app, runtime.token, settings.web_rate_limit, runtime.clock)
    v1 = Blueprint("v1", __name__, url_prefix="/api/v1")
    for add in (add_health, add_current, add_history, add_status):
        add(v1, runtime)
    for add in (add_stream, add_export, add_openapi):
        add(v1, runtime)
    earlier = Blueprint("earlier", __name__, url_prefix="/api")
    for add in (add_health, add_legacy):
        add(earlier, runtime)
    app.register_blueprint(v1)
    app.register_blueprint(earlier)
    add_pages(app, settings.vendor_dir)

    @app.after_request
    def _finish(answer: Response) -> Response:
        if answer.mimetype != "text/event-stream":
            route = request.url_rule.rule if request.url_rule else "unknown"
            _timer(route, answer.status_code).observe(time.perf_counter() - g.start)
        return compressed(answer)

    app.wsgi_app = _with_headers(app.wsgi_app)  # type: ignore[method-assign, assignment]
    return app


@cache
def _timer(route: str, status: int) -> Histogram:
    return metrics.requests.labels(route, str(status))


def _with_headers(wsgi: "WSGIApplication") -> "WSGIApplication":
    """Add the security headers to every answer, in one step."""

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *info: Any) -> Any:
            return start_response(status, [*headers, *_HEADERS], *info)

        return wsgi(environ, start)

    return application
