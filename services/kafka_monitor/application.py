"""Routes: each view as a page and as JSON; errors say one thing, in the same two forms."""

from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Flask, Response, render_template, request
from kafka.errors import KafkaError, UnknownTopicOrPartitionError
from prometheus_client import Counter
from werkzeug.exceptions import HTTPException, SecurityError

from common.health import Health
from common.log import get_logger
from kafka_monitor import formats
from kafka_monitor.errors import KafkaAwayError, MonitorError, NotFoundError
from kafka_monitor.query import MAX_LIMIT
from kafka_monitor.views import Views

__all__ = ["create_app"]

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_REQUESTS = Counter("kafka_ui_requests_total", "Answers by HTTP status.", ["status"])

_log = get_logger(__name__)


def create_app(views: Views, health: Health, allowed_hosts: tuple[str, ...]) -> Flask:
    """Return the WSGI application. Every route only reads; anything but GET is refused."""
    app = Flask(__name__)
    app.config["TRUSTED_HOSTS"] = list(allowed_hosts)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters |= formats.FILTERS
    app.jinja_env.globals |= {"max_limit": MAX_LIMIT, "kafka": views.link.check}
    _add_view(app, "/", "/api/cluster", "cluster.html", views.cluster)
    _add_view(app, "/topics", "/api/topics", "topics.html", views.topics)
    _add_view(app, "/topics/<name>", "/api/topics/<name>", "topic.html", views.topic)
    _add_view(
        app,
        "/topics/<name>/messages",
        "/api/topics/<name>/messages",
        "messages.html",
        views.messages,
    )
    _add_view(app, "/groups", "/api/groups", "groups.html", views.groups)
    _add_view(app, "/groups/<path:name>", "/api/groups/<path:name>", "group.html", views.group)
    app.add_url_rule("/api/topics/<name>/tail", "tail", _tail_of(views))
    app.add_url_rule("/health", "health", lambda: _health(health))
    app.register_error_handler(Exception, _answer_error)
    app.after_request(_finish)
    return app


def _add_view(
    app: Flask, page: str, api: str, template: str, view: Callable[..., msgspec.Struct]
) -> None:
    def show_page(**names: str) -> str:
        return render_template(template, view=view(request.args, **names), **names)

    def show_json(**names: str) -> Response:
        return _json(view(request.args, **names))

    app.add_url_rule(page, view.__name__, show_page)
    app.add_url_rule(api, f"api_{view.__name__}", show_json)


def _tail_of(views: Views) -> Callable[[str], Response]:
    def tail(name: str) -> Response:
        with ExitStack() as stack:
            last = request.headers.get("Last-Event-ID")
            events = stack.enter_context(views.tail(request.args, name, last))
            response = Response(events, content_type="text/event-stream")
            response.call_on_close(stack.pop_all().close)
        return response

    return tail


def _health(health: Health) -> Response:
    passed, body = health.report("ready")
    return _json(body, HTTPStatus.OK if passed else HTTPStatus.SERVICE_UNAVAILABLE)


def _answer_error(error: Exception) -> Response | tuple[str, int]:
    status, message = _explain(error)
    # After a SecurityError, a host that is not ours, Flask makes no addresses for a page.
    if request.path.startswith(("/api/", "/health")) or isinstance(error, SecurityError):
        return _json({"error": message}, status)
    title = "Kafka does not answer" if status == HTTPStatus.SERVICE_UNAVAILABLE else status.phrase
    return render_template("error.html", title=title, message=message), status


def _explain(error: Exception) -> tuple[HTTPStatus, str]:
    if isinstance(error, UnknownTopicOrPartitionError):
        error = NotFoundError("the topic was deleted just now")
    elif isinstance(error, KafkaError):
        error = KafkaAwayError(f"Kafka does not answer: {error}")
    if isinstance(error, MonitorError):
        return error.status, str(error)
    if isinstance(error, HTTPException) and error.code:
        return HTTPStatus(error.code), error.description or error.name
    _log.error("request failed", path=request.path, exc_info=error)
    return HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of this page; the log of kafka-ui has it"


def _json(body: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(msgspec.json.encode(body), status, content_type="application/json")


def _finish(response: Response) -> Response:
    _REQUESTS.labels(response.status_code).inc()
    response.headers.extend(_HEADERS)
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = "2"
    return response
