"""The Flask application: routes, errors, headers."""

import time
from pathlib import Path

from flask import Blueprint, Flask, Response, g, request

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

__all__ = ["create_app"]

_MAX_BODY = 16 * 1024  # nothing here takes a body
# No inline script or style, nothing from outside, not to be framed.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_app(runtime: Runtime) -> Flask:
    """Return the application over a runtime, started or not."""
    app = Flask("web_app", static_folder=None, root_path=str(Path(__file__).parent))
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    register_problems(app)
    settings = runtime.settings
    add_guard(app, settings.web_token, settings.web_rate_limit, runtime.clock)
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

    @app.before_request
    def _begin() -> None:
        g.start = time.perf_counter()

    @app.after_request
    def _finish(answer: Response) -> Response:
        for name, value in _HEADERS.items():
            answer.headers.setdefault(name, value)
        if answer.mimetype != "text/event-stream":
            route = request.url_rule.rule if request.url_rule else "unknown"
            seconds = time.perf_counter() - g.get("start", time.perf_counter())
            metrics.requests.labels(route, str(answer.status_code)).observe(seconds)
        return compressed(answer)

    return app
