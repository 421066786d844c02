"""Routes: pages and JSON, errors in both forms, headers everywhere, nothing but GET."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from kafka.errors import NodeNotReadyError, UnknownTopicOrPartitionError
from tests.unit.kafka_monitor.fake_admin import FakeAdmin
from tests.unit.kafka_monitor.fake_consumer import FakeConsumer
from werkzeug.exceptions import ServiceUnavailable

from common.clock import SystemClock
from common.health import Check, Health
from kafka_monitor.application import Monitor, create_app
from kafka_monitor.clients import Readers

PAGES = ["/", "/topics", "/topics/prices", "/groups", "/groups/readers"]


class FakeLink:
    def __init__(self) -> None:
        self.error: Exception | None = None

    def check(self) -> Check:
        return Check(ok=self.error is None, detail=str(self.error or "fine"))

    @property
    def admin(self) -> Any:
        if self.error:
            raise self.error
        return FakeAdmin()


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
def monitor(link: FakeLink) -> Monitor:
    readers = Readers(FakeConsumer, 1, 0.0)
    return Monitor(link, readers, readers, SystemClock())  # type: ignore[arg-type]


@pytest.fixture
def client(monitor: Monitor, link: FakeLink) -> FlaskClient:
    app = create_app(monitor, Health(ready={"kafka": link.check}), ("localhost",))
    return app.test_client()


@pytest.mark.parametrize("path", PAGES)
def test_pages_have_no_inline_code_and_only_our_own_addresses(
    client: FlaskClient, path: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", answer.text)
    assert all(
        address.startswith(("/", "#"))
        for address in re.findall(r'(?:href|src)="([^"]*)"', answer.text)
    )


@pytest.mark.parametrize("path", [*PAGES, "/api/topics", "/health", "/nope", "/static/style.css"])
def test_headers(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        headers = answer.headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_no_route_takes_anything_but_reading(client: FlaskClient, method: str) -> None:
    rules = list(client.application.url_map.iter_rules())
    assert len(rules) > 10
    assert all((rule.methods or set()) <= {"GET", "HEAD", "OPTIONS"} for rule in rules)
    assert client.open("/api/topics", method=method).status_code == 405


def test_what_the_topic_page_shows(client: FlaskClient) -> None:
    text = client.get("/topics/prices").text
    assert "1 missing" in text
    assert '<span class="badge bad">none</span>' in text
    assert "hush" not in text
    assert "hush" not in client.get("/api/topics/prices").text


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/topics/nope", 404, "there is no topic 'nope'"),
        ("/groups/a/b", 404, "there is no consumer group 'a/b'"),
        ("/topics/prices/messages?limit=9999", 400, "type a whole number from 1 to 500"),
        ("/topics/prices/messages?partition=7", 404, "type one from 0 to 1"),
        ("/topics/prices/tail?from=x", 400, "from='x' is wrong"),
    ],
)
def test_wrong_input(client: FlaskClient, path: str, status: int, said: str) -> None:
    answer = client.get(f"/api{path}")
    assert (answer.status_code, set(answer.get_json())) == (status, {"error"})
    assert said in answer.get_json()["error"]
    if "tail" not in path:
        page = client.get(path)
        assert page.status_code == status
        assert said in page.text.replace("&#39;", "'")


def test_markup_in_an_address_is_shown_not_run(client: FlaskClient) -> None:
    page = client.get("/topics/<img src=x>")
    assert page.status_code == 404
    assert "<img src=x>" not in page.text
    assert "&lt;img src=x&gt;" in page.text


@pytest.mark.parametrize(
    "error", [ServiceUnavailable("gone fishing"), NodeNotReadyError("gone fishing")]
)
def test_kafka_away(client: FlaskClient, link: FakeLink, error: Exception) -> None:
    link.error = error
    for path in [*PAGES, "/api/cluster", "/api/topics/prices/messages", "/health"]:
        answer = client.get(path)
        assert answer.status_code == 503
        assert "gone fishing" in answer.text
        assert answer.headers["Retry-After"] == "2"
    link.error = None
    assert client.get("/").status_code == 200


def test_a_topic_deleted_meanwhile_is_not_found(client: FlaskClient, link: FakeLink) -> None:
    link.error = UnknownTopicOrPartitionError("prices")
    assert client.get("/api/topics/prices").status_code == 404


def test_a_fault_of_ours_hides_its_text(client: FlaskClient, link: FakeLink) -> None:
    link.error = ZeroDivisionError("inner secret")
    answer = client.get("/topics")
    assert answer.status_code == 500
    assert "inner secret" not in answer.get_data(as_text=True).split("<main", 1)[1]


def test_another_host_name_is_refused(client: FlaskClient) -> None:
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_a_tail_too_many_and_its_end(client: FlaskClient, monitor: Monitor) -> None:
    path, position = "/api/topics/prices/tail", {"Last-Event-ID": "0:7"}
    with client.get(path, headers=position, buffered=False) as answer:
        assert answer.mimetype == "text/event-stream"
        chunks = iter(answer.response)
        assert next(chunks) == b"retry: 1000\n\n"
        assert next(chunks) == b"event: messages\nid: 0:7\ndata: []\n\n"
        refused = client.get(path)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        assert "1 are already reading" in refused.get_json()["error"]
        monitor.stopping = lambda: True
        assert list(chunks) == []
    assert client.get(path, headers=position).status_code == 200
    # A client that goes before it has read anything gives its place back, too.
    client.get(path).close()
    assert client.get(path).status_code == 200


def test_digits_are_in_groups(client: FlaskClient) -> None:
    grouped = client.application.jinja_env.filters["grouped"]
    assert (grouped(1234567), grouped(None)) == ("1\u202f234\u202f567", "\u2013")
