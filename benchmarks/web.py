"""The page and the API beside their floors: ``python -m benchmarks web``.

A month of ticks is stored, real Kafka brings a tick a second, and the browser is a Chromium of the
system (``CHROMIUM`` names another); without one its rows are left out, and that is said.
"""

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import Browser, sync_playwright
from tests.support.jars import provide_jars
from tests.support.kafka_cluster import KafkaCluster
from tests.support.market_producer import open_store
from tests.support.web_process import LiveMarket, WebProcess

from benchmarks import ROOT
from benchmarks.floors import percentile
from benchmarks.table import Row
from benchmarks.web_clients import ask, request_rate
from benchmarks.web_store import DAY_S, fill_month
from web_app.install_frontend import install

__all__ = ["measure"]

_FRONTEND = ROOT / ".cache" / "frontend"
_TOPICS = ("prices", "predictions")
_FEED, _SYMBOL = "simulated", "BTC-USD"
_ROUNDS, _ROUND_S = 3, 3.0
_STREAMS, _STREAMS_S = 500, 20.0
_UPDATES_S = 15
_MB = 1_000_000
_CHROMIUM_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


class _Market(LiveMarket):
    """Remembers when it published each tick."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.times: dict[int, float] = {}

    def publish(self, at_us: int) -> None:
        self.times[at_us] = time.time()  # noqa: TID251 - compared with the clients' clock
        super().publish(at_us)


@dataclass(frozen=True)
class _Stage:
    web: WebProcess
    floor: WebProcess
    market: _Market
    store: Path

    @property
    def port(self) -> int:
        return int(urlsplit(self.web.url).port or 0)

    @property
    def floor_port(self) -> int:
        return int(urlsplit(self.floor.url).port or 0)


class _FloorProcess(WebProcess):
    """The empty route, ready when it answers."""

    module = "benchmarks.web_floor"

    def _ready(self) -> bool:
        try:
            ask(int(urlsplit(self.url).port or 0), "/", 1)
        except OSError:
            return False
        return True


def _stage(stack: ExitStack) -> _Stage:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.home())))
    store = folder / "store.sqlite3"
    engine = open_store(store)
    stack.callback(engine.dispose)
    now_us = int(time.time()) * 1_000_000  # noqa: TID251 - the store ends at the present
    fill_month(store, now_us, _FEED, _SYMBOL)
    if not (_FRONTEND / "node_modules").is_dir():
        assert install(_FRONTEND, dev=True) == 0
    (folder / "kafka").mkdir()
    cluster = KafkaCluster(provide_jars(), folder / "kafka")
    stack.callback(cluster.close)
    cluster.start()
    cluster.create_topics(_TOPICS)
    told: dict[str, object] = {
        "DATABASE_URL": f"sqlite:///{store}",
        "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
        "TOPIC_PRICES": _TOPICS[0],
        "TOPIC_PREDICTIONS": _TOPICS[1],
        "FEED": _FEED,
        "FRONTEND_DIR": _FRONTEND,
        "WEB_RATE_LIMIT": 0,
    }
    web = stack.enter_context(WebProcess(folder / "web.log", None, **told)).start()
    floor = stack.enter_context(_FloorProcess(folder / "floor.log", None, **told)).start()
    market = stack.enter_context(_Market(engine, cluster.bootstrap, _TOPICS, step_s=1.0))
    time.sleep(3)
    return _Stage(web, floor, market, store)


def measure() -> Iterator[Row]:
    """Yield the rows as they are measured."""
    with ExitStack() as stack:
        stage = _stage(stack)
        yield _latest_rate(stage)
        yield _day_of_bars(stage)
        yield from _streams(stage)
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        if chromium is None:
            print("The page is not measured: no chromium here (apt-get install chromium)")
            return
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium, args=_CHROMIUM_OPTIONS)
        stack.callback(browser.close)
        yield from _page(stage, browser)


def _latest_rate(stage: _Stage) -> Row:
    floors, rates = [], []
    for _ in range(_ROUNDS):
        floors.append(request_rate(stage.floor_port, "/", _ROUND_S))
        rates.append(request_rate(stage.port, "/api/v1/latest", _ROUND_S))
    floor, rate = statistics.median(floors), statistics.median(rates)
    return Row(
        "/api/v1/latest",
        rate,
        floor,
        "an empty Flask route, same gunicorn",
        "60 % of the floor",
        "requests/s",
        met=rate >= 0.6 * floor,
    )


def _day_of_bars(stage: _Stage) -> Row:
    spent, size = ask(stage.port, _day_path(), 200)
    with closing(sqlite3.connect(stage.store)) as connection:
        floor = []
        for _ in range(50):
            start = time.perf_counter()
            rows = connection.execute(
                "SELECT start, open, high, low, close, mid_close, volume FROM bars_1m WHERE "
                "feed = ? AND symbol = ? ORDER BY start DESC LIMIT 1440",
                (_FEED, _SYMBOL),
            ).fetchall()
            json.dumps(rows)
            floor.append(1000 * (time.perf_counter() - start))
    p99 = percentile(spent, 0.99)
    return Row(
        f"24 h of bars of a minute, a month stored, p99 ({size / 1000:.0f} kB)",
        p99,
        statistics.median(floor),
        "the rows by sqlite3, as JSON (median)",
        "50 ms",
        "ms",
        met=p99 <= 50,
    )


def _day_path() -> str:
    now = time.time()  # noqa: TID251 - the newest day of the store
    stamps = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - back)) for back in (DAY_S, 0)]
    return f"/api/v1/bars?interval=1m&layout=columns&start={stamps[0]}&end={stamps[1]}"


def _streams(stage: _Stage) -> Iterator[Row]:
    few = _delivery(stage, 1, 8.0)
    workers = psutil.Process(stage.web.process.pid).children(recursive=True)
    before = max(worker.memory_info().rss for worker in workers)
    delays = _delivery(stage, _STREAMS, _STREAMS_S)
    used = max(worker.memory_info().rss for worker in workers)
    p99 = percentile(delays, 0.99)
    yield Row(
        f"published to received, {_STREAMS} streams, p99 (n={len(delays)})",
        p99,
        percentile(few, 0.99),
        "one stream",
        "250 ms",
        "ms",
        met=p99 <= 250,
    )
    yield Row(
        f"worker's memory after {_STREAMS} streams",
        used / _MB,
        before / _MB,
        "after one stream",
        "300 MB",
        "MB",
        met=used <= 300 * _MB,
    )


def _delivery(stage: _Stage, count: int, seconds: float) -> list[float]:
    """Return milliseconds from the publication of each tick to its arrival at each client."""
    command = [sys.executable, "-m", "benchmarks.web_clients", "127.0.0.1", str(stage.port)]
    command += [f"/api/v1/stream?symbol={_SYMBOL}", str(count), str(seconds)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    arrivals = {int(sequence): times for sequence, times in json.loads(ran.stdout).items()}
    whole = {sequence: times for sequence, times in arrivals.items() if len(times) == count}
    assert len(whole) >= seconds / 2, {sequence: len(times) for sequence, times in arrivals.items()}
    published = stage.market.times
    return [1000 * (at - published[sequence]) for sequence in whole for at in whole[sequence]]


def _page(stage: _Stage, browser: Browser) -> Iterator[Row]:
    loads, floors, sizes, addresses = [], [], [], set[str]()
    for _ in range(5):
        with browser.new_context(viewport={"width": 1440, "height": 1000}) as context:
            page = context.new_page()
            page.goto(stage.floor.url)
            floors.append(page.evaluate("performance.timing.loadEventEnd - performance.timeOrigin"))
            page.on("request", lambda request: addresses.add(request.url))
            page.goto(stage.web.url)
            page.wait_for_function("() => performance.getEntriesByName('interactive').length > 0")
            at = "performance.getEntriesByName('interactive')[0].startTime"
            loads.append(float(page.evaluate(at)))
            sizes.append(float(page.evaluate(_TRANSFERRED)))
    load, size = statistics.median(loads), max(sizes)
    yield Row(
        f"page interactive ({size / 1000:.0f} kB of at most 200 kB)",
        load,
        statistics.median(floors),
        "an empty page in the same browser",
        "1000 ms, 200 kB",
        "ms",
        met=load <= 1000 and size <= 200_000,
    )
    yield _data_requests(stage, addresses)
    yield _update_cost(stage, browser)


_TRANSFERRED = (
    "performance.getEntries().filter(e => e.transferSize).reduce((s, e) => s + e.transferSize, 0)"
)


def _data_requests(stage: _Stage, addresses: set[str]) -> Row:
    """The slowest and the largest of what the page asked for, asked again one after another."""
    paths = [urlsplit(url) for url in addresses if "/api/v1/" in url and "/stream" not in url]
    slowest, largest, which = 0.0, 0, ""
    for part in paths:
        path = f"{part.path}?{part.query}" if part.query else part.path
        spent, size = ask(stage.port, path, 25)
        if statistics.median(spent) > slowest:
            slowest, which = statistics.median(spent), part.path.removeprefix("/api/v1/")
        largest = max(largest, size)
    floor = statistics.median(ask(stage.floor_port, "/", 25)[0])
    return Row(
        f"slowest of the page's data requests ({which}; largest {largest / 1000:.0f} kB)",
        slowest,
        floor,
        "an empty Flask route",
        "20 ms, 50 kB",
        "ms",
        met=slowest <= 20 and largest <= 50_000,
    )


def _update_cost(stage: _Stage, browser: Browser) -> Row:
    """Main-thread time for each tick, everything included, on an hour of seconds."""
    with browser.new_context(viewport={"width": 1440, "height": 1000}) as context:
        page = context.new_page()
        page.goto(f"{stage.web.url}/?range=1h")
        page.wait_for_function("() => performance.getEntriesByName('interactive').length > 0")
        points = int(page.evaluate("page.market.bars.time.length"))
        assert points >= 3_600, points
        page.wait_for_timeout(3_000)
        session = context.new_cdp_session(page)
        session.send("Performance.enable")

        def busy() -> float:
            metrics = session.send("Performance.getMetrics")["metrics"]
            return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))

        before, draws = busy(), []
        for _ in range(_UPDATES_S):
            page.wait_for_timeout(1_000)
            draws.append(float(page.evaluate("page.drawTime")))
        spent = 1000 * (busy() - before) / _UPDATES_S
        page.locator("#pause").click()
        page.wait_for_timeout(1_000)
        before = busy()
        page.wait_for_timeout(5_000)
        idle = 1000 * (busy() - before) / 5
    draw = statistics.median(draws)
    return Row(
        f"drawing an update, {points:,} points (all of the main thread: {spent:.1f} ms a second)",
        draw,
        idle,
        "the same page paused, for each second",
        "8 ms",
        "ms",
        met=draw <= 8,
    )
