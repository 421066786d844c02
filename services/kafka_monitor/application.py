"""Routes: each view as a page and as JSON; errors say one thing, in the same two forms."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from flask import Flask, Response, render_template, request
from flask.typing import ResponseReturnValue
from kafka.errors import KafkaError, UnknownTopicOrPartitionError
from prometheus_client import Counter
from werkzeug.exceptions import HTTPException, SecurityError

from common.clock import Clock
from common.health import Health
from common.log import get_logger
from kafka_monitor.clients import KafkaLink, Readers
from kafka_monitor.cluster import View, cluster, group, groups, topic, topics
from kafka_monitor.messages import fetch_ranges, locate, read_page, tail
from kafka_monitor.query import MAX_LIMIT, parse_query

__all__ = ["Monitor", "create_app"]

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


@dataclass
class Monitor:
    """What the views need: connections to Kafka, the time, and whether the worker stops."""

    link: KafkaLink
    readers: Readers
    tails: Readers
    clock: Clock
    stopping: Callable[[], bool] = lambda: False

    def messages(self, name: str) -> View:
        """Return the page of messages that the request asks for."""
        query = parse_query(request.args)
        span = locate(self.link.admin, name, query)
        with self.readers.borrow() as consumer:
            fetch = partial(fetch_ranges, consumer, name, self.clock)
            return read_page(fetch, span, query, self.clock)

    def tail(self, name: str) -> Response:
        """Return the events from the end on, or from where the client was."""
        given = request.args.to_dict()
        if position := request.headers.get("Last-Event-ID"):
            given |= {"from": "offset", "offset": position}
        query = parse_query(given)
        span = locate(self.link.admin, name, query)
        with ExitStack() as stack:
            consumer = stack.enter_context(self.tails.borrow())
            events = tail(consumer, span, query.search, lambda: self.stopping(), self.link.check)
            response = Response(events, content_type="text/event-stream")
            response.call_on_close(stack.pop_all().close)
        return response


def create_app(monitor: Monitor, health: Health, allowed_hosts: tuple[str, ...]) -> Flask:
    """Return the WSGI application. Every route only reads; anything but GET is refused."""
    app = Flask(__name__)
    app.config["TRUSTED_HOSTS"] = list(allowed_hosts)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters["grouped"] = _grouped
    app.jinja_env.globals |= {"max_limit": MAX_LIMIT, "kafka": monitor.link.check}
    views: dict[str, tuple[str, Callable[..., View]]] = {
        "cluster": ("/", lambda: cluster(monitor.link.admin)),
        "topics": ("/topics", lambda: {"topics": topics(monitor.link.admin)}),
        "topic": ("/topics/<name>", lambda name: topic(monitor.link.admin, name)),
        "messages": ("/topics/<name>/messages", monitor.messages),
        "groups": ("/groups", lambda: {"groups": groups(monitor.link.admin)}),
        "group": ("/groups/<path:name>", lambda name: group(monitor.link.admin, name)),
    }
    for endpoint, (rule, view) in views.items():
        app.add_url_rule(rule, endpoint, partial(_page, f"{endpoint}.html", view))
        app.add_url_rule("/api/cluster" if rule == "/" else f"/api{rule}", f"api_{endpoint}", view)
    app.add_url_rule("/api/topics/<name>/tail", "tail", monitor.tail)
    app.add_url_rule("/health", "health", partial(_health, health))
    app.register_error_handler(Exception, _answer_error)
    app.after_request(_finish)
    return app


def _page(template: str, view: Callable[..., View], **names: str) -> str:
    return render_template(template, view=view(**names), **names)


def _health(health: Health) -> ResponseReturnValue:
    passed, body = health.report("ready")
    return body, HTTPStatus.OK if passed else HTTPStatus.SERVICE_UNAVAILABLE


def _answer_error(error: Exception) -> ResponseReturnValue:
    status, message = HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of this page; its log has it"
    if isinstance(error, HTTPException) and error.code:
        status, message = HTTPStatus(error.code), error.description or error.name
    elif isinstance(error, UnknownTopicOrPartitionError):
        status, message = HTTPStatus.NOT_FOUND, "the topic was deleted just now"
    elif isinstance(error, KafkaError):
        status, message = HTTPStatus.SERVICE_UNAVAILABLE, f"Kafka does not answer: {error}"
    else:
        _log.error("request failed", path=request.path, exc_info=error)
    # After a SecurityError, a host that is not ours, Flask makes no addresses for a page.
    if request.path.startswith(("/api/", "/health")) or isinstance(error, SecurityError):
        return {"error": message}, status
    title = "Kafka does not answer" if status == HTTPStatus.SERVICE_UNAVAILABLE else status.phrase
    return render_template("error.html", title=title, message=message), status


def _finish(response: Response) -> Response:
    _REQUESTS.labels(response.status_code).inc()
    response.headers.extend(_HEADERS)
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = "2"
    return response


def _grouped(number: int | None) -> str:
    """Return ``number`` with its digits in groups of three, by narrow spaces."""
    return "\u2013" if number is None else f"{number:,}".replace(",", "\u202f")
