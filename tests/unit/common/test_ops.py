import os
import urllib.error
import urllib.request
from collections.abc import Iterator

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter

from common.errors import ConfigurationError
from common.health import Check, Health
from common.ops import OpsServer


@pytest.fixture
def health() -> Health:
    return Health(status=lambda: {"rows": 3})


@pytest.fixture
def base(health: Health) -> Iterator[str]:
    registry = CollectorRegistry()
    Counter("ticks", "Ticks seen.", registry=registry).inc(7)
    with OpsServer("127.0.0.1", 0, health, registry) as server:
        yield f"http://127.0.0.1:{server.port}"


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_readiness_fails_with_its_reason_while_liveness_passes(health: Health, base: str) -> None:
    health.ready["kafka"] = lambda: Check(ok=False, detail="no broker answers")
    health.role = "standby"
    assert get(f"{base}/health/live")[0] == 200
    status, body = get(f"{base}/health/ready")
    assert status == 503
    assert msgspec.json.decode(body) == {
        "status": "failing",
        "role": "standby",
        "pid": os.getpid(),
        "checks": {"kafka": {"ok": False, "detail": "no broker answers"}},
    }


def test_a_dead_process_is_not_ready_either(health: Health, base: str) -> None:
    health.live["loop"] = lambda: Check(ok=False, detail="no beat for 30 s")
    assert get(f"{base}/health/live")[0] == 503
    assert get(f"{base}/health/ready")[0] == 503


def test_a_probe_that_breaks_is_a_failing_probe(health: Health, base: str) -> None:
    def probe() -> Check:
        raise OSError("disk gone")

    health.ready["disk"] = probe
    status, body = get(f"{base}/health/ready")
    assert status == 503
    assert b"OSError: disk gone" in body


def test_status_metrics_and_unknown_paths(base: str) -> None:
    assert get(f"{base}/status") == (200, b'{"rows":3}')
    assert b"ticks_total 7.0" in get(f"{base}/metrics")[1]
    status, body = get(f"{base}/nowhere")
    assert status == 404
    assert b"/health/live" in body


def test_a_taken_port_is_an_error_at_construction(base: str, health: Health) -> None:
    with pytest.raises(ConfigurationError, match="OPS_PORT: cannot listen on"):
        OpsServer("127.0.0.1", int(base.rsplit(":", 1)[1]), health)
