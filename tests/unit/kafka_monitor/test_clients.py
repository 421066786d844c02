"""The link knows whether Kafka answers, and comes back; consumers are never beyond the number."""

import time
from typing import Any

import pytest
from kafka.errors import NodeNotReadyError
from tests.unit.kafka_monitor.fake_consumer import FakeConsumer
from werkzeug.exceptions import ServiceUnavailable

from kafka_monitor import clients
from kafka_monitor.clients import KafkaLink, Readers


class Admin:
    def __init__(self) -> None:
        self.up = True

    def describe_cluster(self) -> dict[str, Any]:
        if not self.up:
            raise NodeNotReadyError("no node")
        return {"cluster_id": "c1", "brokers": [1, 2]}


def test_an_outage_and_its_end() -> None:
    admin = Admin()
    link = KafkaLink(lambda: admin, "here:1")
    with pytest.raises(ServiceUnavailable, match="not asked yet"):
        _ = link.admin
    link.ask()
    assert link.admin is admin
    assert link.check().detail == "cluster c1, 2 broker(s)"
    admin.up = False
    link.ask()
    assert not link.check().ok
    with pytest.raises(ServiceUnavailable, match=r"Kafka does not answer at here:1: .*no node"):
        _ = link.admin
    admin.up = True
    link.ask()
    assert link.admin is admin


def test_kafka_away_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_INTERVAL_S", 0.01)
    attempts = []

    def connect() -> Admin:
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("connection refused")
        return Admin()

    link = KafkaLink(connect, "here:1")
    link.start()
    deadline = time.monotonic() + 5
    while not link.check().ok:
        assert "connection refused" in link.check().detail
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert len(attempts) == 3


def test_a_consumer_is_lent_again() -> None:
    readers = Readers(FakeConsumer, 2, 0.0)
    with readers.borrow() as first:
        pass
    with readers.borrow() as second, readers.borrow() as third:
        assert second is first
        assert third is not first
    assert first.unsubscribed == 2
    assert not first.closed


def test_no_more_than_the_number() -> None:
    readers = Readers(FakeConsumer, 1, 0.01)
    busy = pytest.raises(ServiceUnavailable, match="1 are already reading")
    with readers.borrow(), busy, readers.borrow():
        pass
    with readers.borrow():
        pass


def test_a_consumer_that_saw_an_error_is_closed() -> None:
    readers = Readers(FakeConsumer, 1, 0.0)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), readers.borrow() as consumer:
            raise ValueError("broken")
        assert consumer.closed


def test_a_failed_connection_gives_its_place_back() -> None:
    def refuse() -> FakeConsumer:
        raise OSError("away")

    readers = Readers(refuse, 1, 0.0)
    for _ in range(3):
        with pytest.raises(OSError, match="away"), readers.borrow():
            pass
