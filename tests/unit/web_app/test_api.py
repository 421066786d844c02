"""The routes over a real store."""

import gzip
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from tests.support.market_producer import open_store
from tests.unit.web_app.conftest import NOW, SECONDS, FixedClock, make_events

from common.clock import to_micros
from common.store.models import save_models
from web_app.application import create_app
from web_app.runtime import Runtime
from web_app.scorebook import ScoreBook

START = (NOW - timedelta(seconds=SECONDS)).strftime("%Y-%m-%dT%H:%M:%SZ")
END = NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
READS = [
    "/api/health",
    "/api/v1/health",
    "/api/v1/symbols",
    "/api/v1/latest",
    "/api/v1/ticks",
    "/api/v1/bars",
    "/api/v1/predictions",
    "/api/v1/scores",
    "/api/v1/scores/series",
    "/api/v1/models",
    "/api/v1/status",
    "/api/price-data",
    "/api/prediction-data",
    "/api/metrics-data",
    "/api/data",
]


def fetch(client: FlaskClient, path: str, **query: Any) -> Any:
    answer = client.get(path, query_string=query)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.data)


def walk(client: FlaskClient, path: str, **query: Any) -> list[Any]:
    """Follow the cursors to the end."""
    items: list[Any] = []
    while True:
        page = fetch(client, path, **query)
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        query["cursor"] = page["next_cursor"]


@pytest.mark.parametrize("path", READS)
def test_every_answer_has_the_headers_of_a_closed_door(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_paging_gives_each_tick_once_in_order(client: FlaskClient, order: str) -> None:
    items = walk(client, "/api/v1/ticks", start=START, limit=70, order=order)
    sequences = [item["sequence"] for item in items]
    first = to_micros(NOW - timedelta(seconds=SECONDS))
    expected = [first + i * 1_000_000 for i in range(SECONDS)]
    assert sequences == (expected if order == "asc" else expected[::-1])


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("interval", ["1s", "15s", "1m", "5m", "1h"])
def test_bars_agree_with_the_ticks(client: FlaskClient, interval: str, order: str) -> None:
    ticks = walk(client, "/api/v1/ticks", start=START, limit=5_000)
    query = {"start": START, "end": END, "interval": interval, "limit": 70, "order": order}
    bars = walk(client, "/api/v1/bars", **query)
    seconds = {"1s": 1, "15s": 15, "1m": 60, "5m": 300, "1h": 3_600}[interval]
    grouped: dict[int, list[float]] = {}
    for tick in ticks:
        at = tick["sequence"] // 1_000_000
        grouped.setdefault(at - at % seconds, []).append(float(tick["price"]))
    starts = sorted(grouped, reverse=order == "desc")
    assert len(bars) == len(starts)
    for bar, start in zip(bars, starts, strict=True):
        prices = grouped[start]
        assert bar["ticks"] == len(prices)
        assert [bar["open"], bar["close"]] == [prices[0], prices[-1]]
        assert [bar["high"], bar["low"]] == [max(prices), min(prices)]


def test_columns_say_the_same_as_items(client: FlaskClient) -> None:
    query = {"start": START, "interval": "1m"}
    items = fetch(client, "/api/v1/bars", **query)["items"]
    columns = fetch(client, "/api/v1/bars", layout="columns", **query)["columns"]
    assert columns["close"] == [item["close"] for item in items]
    assert columns["time"][0] == (NOW - timedelta(seconds=SECONDS)).timestamp()


def test_predictions_know_what_came_when_their_time_has_come(client: FlaskClient) -> None:
    items = walk(client, "/api/v1/predictions", start=START, horizon_s=60, limit=200)
    assert len(items) == SECONDS
    known = [item for item in items if item["actual"] is not None]
    assert len(known) == SECONDS - 60
    assert known == items[: len(known)]
    for item in items:
        levels = [item["quantiles"][level] for level in ("0.025", "0.1", "0.5", "0.9", "0.975")]
        assert levels == sorted(levels)


def test_a_step_takes_the_first_prediction_of_each(client: FlaskClient) -> None:
    every = walk(client, "/api/v1/predictions", start=START, horizon_s=10)
    stepped = walk(client, "/api/v1/predictions", start=START, horizon_s=10, step_s=30)
    chosen: dict[int, str] = {}
    for item in every:
        at = int(msgspec.convert(item["issue_time"], type=type(NOW)).timestamp())
        chosen.setdefault(at // 30, item["issue_time"])
    assert [item["issue_time"] for item in stepped] == list(chosen.values())


def test_scores_are_the_means_of_what_was_scored(client: FlaskClient) -> None:
    predictions = walk(client, "/api/v1/predictions", start=START, horizon_s=30)
    errors = [p["actual"] - p["quantiles"]["0.5"] for p in predictions if p["actual"] is not None]
    scores = fetch(client, "/api/v1/scores", window="1h")["items"]
    found = next(item for item in scores if item["horizon_s"] == 30)
    assert found["n"] == len(errors) == SECONDS - 30
    assert found["bias"] == pytest.approx(sum(errors) / len(errors))
    assert found["mae"] == pytest.approx(sum(map(abs, errors)) / len(errors))
    assert found["rmse"] == pytest.approx((sum(e * e for e in errors) / len(errors)) ** 0.5)
    assert found["skill_last_value"] == pytest.approx(1 - 0.6 / 0.62, abs=0.01)


def test_a_longer_window_has_all_of_a_shorter_one(
    make_runtime: Callable[..., Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScoreBook, "refresh", lambda book: None)  # as late as it can be
    client = create_app(make_runtime()).test_client()
    windows = [fetch(client, "/api/v1/scores", window=each)["items"] for each in ("5m", "1h")]
    for short, long in zip(*windows, strict=True):
        assert 0 < short["n"] <= long["n"]


@pytest.mark.parametrize("interval", ["15s", "5m"])  # put together, unlike those that are kept
def test_the_last_bar_of_a_range_is_whole(client: FlaskClient, interval: str) -> None:
    whole = fetch(client, "/api/v1/bars", start=START, end=END, interval=interval)["items"][-2]
    until = datetime.fromisoformat(whole["time"]) + timedelta(seconds=3)
    end = until.strftime("%Y-%m-%dT%H:%M:%SZ")
    cut = fetch(client, "/api/v1/bars", start=START, end=end, interval=interval)["items"]
    assert cut[-1] == whole


def test_the_oldest_bar_is_named_and_days_of_bars_can_be_asked_for(client: FlaskClient) -> None:
    (symbol,) = fetch(client, "/api/v1/symbols")["items"]
    assert symbol["first_bar"] <= symbol["first_tick"]
    for interval, width in (("4h", 14_400), ("1d", 86_400)):
        bars = fetch(client, "/api/v1/bars", interval=interval)["items"]
        assert sum(bar["ticks"] for bar in bars) == SECONDS
        assert all(
            to_micros(datetime.fromisoformat(bar["time"])) % (width * 1_000_000) == 0
            for bar in bars
        )


@pytest.mark.parametrize("step", [30, 60])
def test_the_series_of_scores_adds_up_to_the_whole(client: FlaskClient, step: int) -> None:
    query = {"start": START, "horizon_s": 10, "step_s": step}
    columns = fetch(client, "/api/v1/scores/series", **query)["columns"]
    assert sum(columns["n"]) == SECONDS - 10
    assert all(time % step == 0 for time in columns["time"])


def test_latest_prefers_kafka_and_falls_back_to_the_store(
    runtime: Runtime, client: FlaskClient
) -> None:
    stored = fetch(client, "/api/v1/latest")
    assert stored["tick"]["sequence"] == to_micros(NOW) - 1_000_000
    assert [each["horizon_s"] for each in stored["forecasts"]] == [1, 5, 10, 30, 60, 300]
    runtime.hub.begin("0123abcd", {})
    for event in make_events(3):
        runtime.hub.publish(event)
    live = fetch(client, "/api/v1/latest")
    assert live["tick"]["sequence"] == to_micros(NOW) + 2_000_000
    assert live["tick"].keys() == stored["tick"].keys()
    assert live["forecasts"][0].keys() == stored["forecasts"][0].keys()


def test_health_is_honest_about_age_and_feed(client: FlaskClient, clock: FixedClock) -> None:
    body = fetch(client, "/api/health")
    assert body["feed"] == "simulated"
    assert "made up" in body["notice"]
    assert body["components"]["ticks"]["ready"] is True
    assert body["status"] == "degraded"  # Kafka was never reached here
    clock.moment += timedelta(minutes=1)
    later = fetch(client, "/api/health")
    assert later["components"]["ticks"]["ready"] is False
    assert later["last_tick_age_s"] == pytest.approx(60.98)
    assert later["model_version"] == "baseline"


def test_no_store_and_no_kafka_is_failing(
    make_runtime: Callable[..., Runtime], tmp_path: Path
) -> None:
    absent = tmp_path / "absent.sqlite3"
    client = create_app(make_runtime(database_url=f"sqlite:///{absent}")).test_client()
    answer = client.get("/api/health")
    assert answer.status_code == 503
    assert msgspec.json.decode(answer.data)["status"] == "failing"


def test_another_feed_is_not_shown(make_runtime: Callable[..., Runtime]) -> None:
    client = create_app(make_runtime(feed="live")).test_client()
    assert fetch(client, "/api/v1/ticks", start=START)["items"] == []
    assert fetch(client, "/api/v1/latest")["tick"] is None
    assert fetch(client, "/api/health")["notice"] is None


@pytest.mark.parametrize(
    ("path", "status", "advice"),
    [
        ("/api/v1/ticks?limit=0", 400, "limit"),
        ("/api/v1/ticks?limit=5001", 400, "5000"),
        ("/api/v1/ticks?limit=many", 400, "limit"),
        ("/api/v1/ticks?start=yesterday", 400, "2026-01-31T12:00:00Z"),
        ("/api/v1/ticks?start=2026-03-04T12:00:00", 400, "2026-01-31T12:00:00Z"),
        ("/api/v1/ticks?start=0001-01-01T00:00:00Z", 400, "outside"),
        ("/api/v1/ticks?end=9999-12-31T23:59:59Z", 400, "outside"),
        ("/api/v1/ticks?start=2026-03-04T12:00:00Z&end=2026-03-04T12:00:00Z", 400, "before end"),
        ("/api/v1/ticks?start=2026-03-01T00:00:00Z&end=2026-03-04T00:00:00Z", 400, "at most"),
        ("/api/v1/ticks?cursor=abc", 400, "next_cursor"),
        ("/api/v1/ticks?cursor=999999999999999999999", 400, "next_cursor"),
        ("/api/v1/ticks?limit=1&limit=2", 400, "once"),
        ("/api/v1/ticks?colour=red", 400, "known: cursor, end, limit"),
        ("/api/v1/ticks?symbol=DOGE-USD", 404, "served here: BTC-USD"),
        ("/api/v1/bars?interval=2m", 400, "interval"),
        ("/api/v1/predictions?horizon_s=7", 400, "1, 5, 10, 30, 60, 300"),
        ("/api/v1/scores?window=1y", 400, "window"),
        ("/api/v1/stream?last_event_id=" + "x" * 65, 400, "last_event_id"),
        ("/api/metrics-data?limit=100000", 400, "10000"),
        ("/api/v1/nothing", 404, "/api/docs"),
        ("/static/vendor/../../settings.py", 404, ""),
        ("/static/app/%2e%2e/settings.py", 404, ""),
        ("/static/vendor/uplot/package.json", 404, ""),
    ],
)
def test_a_mistake_is_a_problem_that_says_what_to_type(
    client: FlaskClient, path: str, status: int, advice: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    body = msgspec.json.decode(answer.data)
    assert body["status"] == status
    assert advice in body["detail"]


def test_other_methods_are_refused_with_what_is_allowed(client: FlaskClient) -> None:
    answer = client.post("/api/v1/latest", data=b"x")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert answer.content_type == "application/problem+json"


def test_an_unchanged_answer_is_not_sent_again(client: FlaskClient) -> None:
    first = client.get("/api/v1/bars", query_string={"start": START})
    again = client.get(
        "/api/v1/bars",
        query_string={"start": START},
        headers={"If-None-Match": first.headers["ETag"], "Accept-Encoding": "gzip"},
    )
    assert again.status_code == 304
    assert again.data == b""
    assert again.headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in again.headers


def test_large_answers_are_compressed_for_those_who_take_it(client: FlaskClient) -> None:
    plain = client.get("/api/v1/ticks", query_string={"start": START})
    assert "Content-Encoding" not in plain.headers
    packed = client.get(
        "/api/v1/ticks", query_string={"start": START}, headers={"Accept-Encoding": "gzip"}
    )
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 4


def test_without_the_charting_library_the_page_says_what_to_do(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 503
    assert "python -m web_app.install_frontend" in answer.text


def test_with_the_library_the_page_and_its_files_are_served(
    runtime: Runtime,
) -> None:
    folder = runtime.settings.vendor_dir / "uplot" / "dist"
    folder.mkdir(parents=True)
    (folder / "uPlot.iife.min.js").write_text("var uPlot;")
    client = create_app(runtime).test_client()
    page = client.get("/")
    assert page.status_code == 200
    assert "<script>" not in page.text
    assert "style=" not in page.text
    for path in ("/static/app/app.css", "/static/app/js/main.js", "/favicon.ico"):
        assert client.get(path).status_code == 200
    assert client.get("/static/vendor/uplot/dist/uPlot.iife.min.js").text == "var uPlot;"


def test_models_are_what_the_forecaster_put_into_the_store(
    make_runtime: Callable[..., Runtime], tmp_path: Path
) -> None:
    engine = open_store(tmp_path / "own.sqlite3")
    client = create_app(make_runtime(database_url=str(engine.url))).test_client()
    assert fetch(client, "/api/v1/models") == {"current": None, "last_training": None, "items": []}
    cards = {
        version: {"version": version, "rows": 10, "promoted": promoted, "reason": "because"}
        for version, promoted in (("20260304T110000", True), ("20260304T120000", False))
    }
    texts = {version: msgspec.json.encode(card).decode() for version, card in cards.items()}
    texts["20260304T130000"] = '{"rows": "of another form"}'
    with engine.begin() as connection:
        save_models(connection, "simulated", list(texts), "20260304T110000", texts.get)
        save_models(connection, "live", ["20260304T140000"], "20260304T140000", lambda _: "{}")
    engine.dispose()
    body = fetch(client, "/api/v1/models")
    assert body["current"] == "20260304T110000"
    assert [card["version"] for card in body["items"]] == ["20260304T120000", "20260304T110000"]
    assert body["items"][0]["reason"] == "because"
    assert body["last_training"] == body["items"][0]


@pytest.mark.parametrize(("revision", "readable"), [("0999", True), ("9999", False)])
def test_a_store_that_another_service_has_upgraded_is_still_read(
    make_runtime: Callable[..., Runtime], tmp_path: Path, revision: str, *, readable: bool
) -> None:
    engine = open_store(tmp_path / "own.sqlite3")
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    engine.dispose()
    ready = make_runtime(database_url=str(engine.url)).store_ready()
    assert (ready.ok, f"schema {revision}" in ready.detail) == (readable, True)
