"""A runtime over a small store, and a client of the application; nothing is started."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from tests.support.market_producer import Market, fill_store, open_store

from common.clock import to_micros
from web_app.application import create_app
from web_app.live import Event
from web_app.runtime import Runtime
from web_app.settings import WebSettings

NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
SECONDS = 900


class FixedClock:
    """A clock that tests move."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return (self.moment - NOW).total_seconds()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quarter of an hour up to `NOW`."""
    path = tmp_path_factory.mktemp("store") / "store.sqlite3"
    engine = open_store(path)
    fill_store(engine, Market(), NOW - timedelta(seconds=SECONDS), SECONDS)
    engine.dispose()
    return path


@pytest.fixture
def make_runtime(
    tmp_path: Path, store: Path, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Runtime]]:
    """Build a runtime; keyword arguments are settings."""
    for name in ("SYMBOLS", "FEED", "DATABASE_URL", "LISTEN_FD", "WEB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    made: list[Runtime] = []

    def build(**changes: object) -> Runtime:
        values: dict[str, object] = {
            "database_url": f"sqlite:///{store}",
            "feed": "simulated",
            "frontend_dir": tmp_path / "frontend",
        }
        runtime = Runtime(WebSettings.model_validate(values | changes), clock)
        made.append(runtime)
        if runtime.store_ready().ok:
            runtime.scores.refresh()
        return runtime

    yield build
    for runtime in made:
        runtime.engine.dispose()


@pytest.fixture
def runtime(make_runtime: Callable[..., Runtime]) -> Runtime:
    return make_runtime()


@pytest.fixture
def client(runtime: Runtime) -> FlaskClient:
    return create_app(runtime).test_client()


def make_events(count: int, market: Market | None = None, first_offset: int = 0) -> list[Event]:
    """Return ``count`` ticks and their predictions as events, alternating."""
    source = market or Market()
    events = []
    for i in range(count):
        tick, prediction = source.step(NOW + timedelta(seconds=i))
        offset = first_offset + i
        issued = to_micros(prediction.issue_time)
        events.append(Event("tick", tick.symbol, offset, tick.sequence, tick, b"{}"))
        events.append(Event("prediction", tick.symbol, offset, issued, prediction, b"{}"))
    return events
