"""The link knows whether Kafka answers, and comes back by itself."""

import time
from typing import Any

import pytest
from kafka.errors import NodeNotReadyError

from kafka_monitor import link as link_module
from kafka_monitor.errors import KafkaAwayError
from kafka_monitor.link import KafkaLink


class Admin:
    def __init__(self) -> None:
        self.up = True
        self.closed = False

    def describe_cluster(self) -> dict[str, Any]:
        if not self.up:
            raise NodeNotReadyError("no node")
        return {"cluster_id": "c1", "brokers": [1, 2]}

    def close(self) -> None:
        self.closed = True


def wait_until(link: KafkaLink, *, ok: bool) -> None:
    deadline = time.monotonic() + 5
    while link.check().ok != ok:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_an_outage_and_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "_INTERVAL_S", 0.01)
    admin = Admin()
    link = KafkaLink(lambda: admin, "here:1")
    link.start()
    assert link.admin is admin
    assert link.check().detail == "cluster c1, 2 broker(s)"
    admin.up = False
    wait_until(link, ok=False)
    with pytest.raises(KafkaAwayError, match=r"Kafka does not answer at here:1: .*no node"):
        _ = link.admin
    admin.up = True
    wait_until(link, ok=True)
    assert link.admin is admin
    link.stop()
    assert admin.closed


def test_kafka_away_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "_INTERVAL_S", 0.01)
    attempts = []

    def connect() -> Admin:
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("connection refused")
        return Admin()

    link = KafkaLink(connect, "here:1")
    link.start()
    with pytest.raises(KafkaAwayError, match="connection refused"):
        _ = link.admin
    wait_until(link, ok=True)
    link.stop()
    assert len(attempts) == 3
