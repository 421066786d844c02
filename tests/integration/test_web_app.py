"""The web application as a process, beside a real Kafka."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import Engine
from tests.e2e.load import RequestLoad, StreamClients
from tests.support.kafka_cluster import KafkaCluster
from tests.support.market_producer import open_store
from tests.support.web_process import LiveMarket, WebProcess, free_port

pytestmark = pytest.mark.integration

CLIENTS = 10


@dataclass
class Stage:
    """What the processes of one test share."""

    folder: Path
    engine: Engine
    kafka: KafkaCluster
    topics: tuple[str, str]

    def web(self, listener: socket.socket | None = None, **changes: object) -> WebProcess:
        environment: dict[str, object] = {
            "DATABASE_URL": f"sqlite:///{self.folder}/store.sqlite3",
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "TOPIC_PRICES": self.topics[0],
            "TOPIC_PREDICTIONS": self.topics[1],
            "FEED": "simulated",
        }
        return WebProcess(self.folder / "web.log", listener, **(environment | changes))

    def market(self, step_s: float = 0.1) -> LiveMarket:
        return LiveMarket(self.engine, self.kafka.bootstrap, self.topics, step_s)


@pytest.fixture
def stage(tmp_path: Path, kafka: KafkaCluster) -> Iterator[Stage]:
    name = uuid4().hex[:8]
    topics = (f"prices-{name}", f"predictions-{name}")
    kafka.create_topics(topics)
    engine = open_store(tmp_path / "store.sqlite3")
    yield Stage(tmp_path, engine, kafka, topics)
    engine.dispose()


def wait_for_more(clients: StreamClients, market: LiveMarket) -> None:
    """Return when each client has what was published up to now, and a little more."""
    target = market.published[-1] + 300_000
    deadline = time.monotonic() + 60  # the machine may be busy
    while not all(seen and seen[-1] >= target for seen in clients.sequences):
        assert time.monotonic() < deadline, [len(seen) for seen in clients.sequences]
        time.sleep(0.1)


def assert_whole(clients: StreamClients, market: LiveMarket) -> None:
    """Each client has every tick from its first on, once, in order."""
    assert clients.resets == []
    for seen in clients.sequences:
        first = market.published.index(seen[0])
        assert seen == market.published[first : first + len(seen)]


def test_a_new_slot_takes_over_without_a_failed_request_or_a_missed_event(stage: Stage) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        market = stack.enter_context(stage.market())
        old = stack.enter_context(stage.web(listener)).start()
        new = stack.enter_context(stage.web(listener, SLOT=1))
        stream = f"{old.url}/api/v1/stream?symbol=BTC-USD"
        clients = StreamClients(stream, CLIENTS)
        load = RequestLoad(f"{old.url}/api/v1/latest")
        with clients, load:
            wait_for_more(clients, market)
            new.start()
            took = old.stop()
            wait_for_more(clients, market)
        assert took < 10
        assert load.failures == []
        assert load.answered > 100
        assert clients.reconnects >= CLIENTS
        assert_whole(clients, market)


def test_clients_resume_after_the_server_was_killed(stage: Stage) -> None:
    port = free_port()
    with stage.market() as market:
        first = stage.web(WEB_PORT=port)
        second = stage.web(WEB_PORT=port)
        with second, first:
            first.start()
            with StreamClients(f"{first.url}/api/v1/stream", CLIENTS) as clients:
                wait_for_more(clients, market)
                first.kill()
                second.start()
                wait_for_more(clients, market)
        assert clients.reconnects >= CLIENTS
        assert_whole(clients, market)


def test_the_cap_of_streams_is_told_and_requests_go_on(stage: Stage) -> None:
    with stage.market(), stage.web(WEB_MAX_STREAMS=3).start() as web:
        stream = f"{web.url}/api/v1/stream"
        with StreamClients(stream, 3):
            time.sleep(1)
            refused = httpx.get(stream, timeout=5)
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert "/api/v1/latest" in refused.json()["detail"]
            assert httpx.get(f"{web.url}/api/v1/latest", timeout=5).json()["tick"]
        assert web.stop() < 10


def test_who_never_ends_a_request_holds_nobody_up_for_long(stage: Stage) -> None:
    with stage.web(WEB_MAX_STREAMS=1).start() as web, ExitStack() as stack:
        host, port = web.url.removeprefix("http://").split(":")
        slow = [
            stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(60)
        ]  # more than there are threads
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nX-Unending: ")
        time.sleep(1)
        answer = httpx.get(f"{web.url}/api/v1/models", timeout=30)
        assert answer.status_code == 200
        assert answer.elapsed.total_seconds() < 20  # the first batch is hung up on after 5 s
        slow[0].settimeout(30)
        with suppress(ConnectionError):
            while slow[0].recv(1_000):
                pass


def test_without_kafka_history_is_served_and_live_data_come_back_with_it(stage: Stage) -> None:
    market = stage.market()
    with market:
        time.sleep(1)
    stage.kafka.stop()
    try:
        with stage.web().start() as web:
            health = httpx.get(f"{web.url}/api/health", timeout=10).json()
            assert health["components"]["kafka"]["ready"] is False
            assert health["status"] == "degraded"
            latest = httpx.get(f"{web.url}/api/v1/latest", timeout=10).json()
            assert latest["tick"]["sequence"] == market.published[-1]
            stage.kafka.start()
            with stage.market(), StreamClients(f"{web.url}/api/v1/stream", 1) as clients:
                deadline = time.monotonic() + 40
                while not clients.sequences or len(clients.sequences[0]) < 5:
                    assert time.monotonic() < deadline, web.log
                    time.sleep(0.2)
            health = httpx.get(f"{web.url}/api/health", timeout=10).json()
            assert health["components"]["kafka"]["ready"] is True
    finally:
        stage.kafka.start()


def test_the_lines_that_people_grep_for(stage: Stage) -> None:
    with stage.market(), stage.web().start() as web:
        time.sleep(7)  # the scores of a few seconds, and the book that reads them
        points = httpx.get(f"{web.url}/api/metrics-data", timeout=10).json()[1:]
        assert points
        assert f"Returning {len(points)} metrics data points" in web.log
        line = r"Final metrics statistics - Avg Error: -?\d+\.\d\d, MAE: \d+\.\d\d"
        assert re.search(line, web.log)
        metrics = httpx.get(f"{web.ops}/metrics", timeout=5).text
        assert 'web_messages_total{kind="tick"}' in metrics


def test_wrong_settings_are_one_clear_message(stage: Stage) -> None:
    web = stage.web(WEB_PORT="many", DATABASE_URL="mysql://here")
    assert web.launch().wait(60) == 2
    assert "WEB_PORT" in web.log
    assert "DATABASE_URL" in web.log
    assert "Traceback" not in web.log


@pytest.mark.parametrize("variable", ["WEB_PORT", "OPS_PORT"])
def test_a_taken_port_is_one_clear_message(stage: Stage, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        web = stage.web(**{variable: port})
        assert web.launch().wait(60) != 0
    assert variable in web.log
    assert str(port) in web.log
    assert "Traceback" not in web.log


def test_an_unread_stream_does_not_hold_the_others_up(stage: Stage) -> None:
    with stage.market(step_s=0.02) as market, stage.web().start() as web:
        host, port = web.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            stuck.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\n\r\n")
            with StreamClients(f"{web.url}/api/v1/stream", 2) as clients:
                time.sleep(4)
                wait_for_more(clients, market)
            with suppress(OSError):
                stuck.recv(1)
        assert_whole(clients, market)
