"""The protocols: recorded answers have the same form, and our adapters read what is served."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from tests.unit.data_collector.recordings import binance_rest, lines_of, path_of

from common.clock import to_micros
from data_collector.assembly import Stamp, assemble
from data_collector.venues import ADAPTERS
from exchange_simulator.__main__ import make_app
from exchange_simulator.admin import add_admin
from exchange_simulator.faults import ActiveFaults
from exchange_simulator.limits import RateLimits
from exchange_simulator.process import ProcessMarket
from exchange_simulator.server import Exchange, add_venues

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
Client = TestClient[web.Request, web.Application]


class FixedClock:
    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


def serve(use: Callable[[Client], Awaitable[None]], factor: float = 0.0) -> None:
    async def run() -> None:
        clock = FixedClock()
        start = to_micros(START)
        exchange = Exchange(
            market=ProcessMarket(1, ["BTC-USD", "ETH-USD"]),
            faults=ActiveFaults((), start, 1),
            limits=RateLimits(factor),
            clock=clock,
        )
        app = web.Application()
        add_venues(app, exchange)
        add_admin(app, exchange)
        async with TestClient(TestServer(app)) as client:
            await use(client)

    asyncio.run(run())


def ask(path: str, *faults: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
    """Return status, JSON (or text) and headers of ``path`` while ``faults`` are on."""
    found: list[tuple[int, Any, dict[str, str]]] = []

    async def use(client: Client) -> None:
        if faults:
            response = await client.post("/admin/faults", json=list(faults))
            assert response.status == 200
        response = await client.get(path)
        text = await response.text()
        try:
            body = json.loads(text)
        except ValueError:
            body = text
        found.append((response.status, body, dict(response.headers)))

    serve(use)
    return found[0]


def form_of(value: Any) -> Any:
    """Return the names, types and decimals of a JSON value."""
    if isinstance(value, dict):
        return {name: form_of(each) for name, each in value.items()}
    if isinstance(value, list):
        return [form_of(value[0])] if value else []
    return type(value).__name__


@pytest.mark.parametrize(
    ("path", "symbol"),
    [
        ("/api/v3/ticker/price", "BTCUSDT"),
        ("/api/v3/ticker/bookTicker", "BTCUSDT"),
        ("/api/v3/aggTrades", "BTCUSDT"),
        ("/api/v3/trades", "BTCUSDT"),
    ],
)
def test_binance_has_the_form_of_the_recording(path: str, symbol: str) -> None:
    status, body, headers = ask(f"/binance{path}?symbol={symbol}")
    assert status == 200
    assert form_of(body) == form_of(binance_rest(path, symbol))
    assert "X-MBX-USED-WEIGHT-1M" in headers


def test_coinbase_products_have_fields_of_the_recording() -> None:
    recorded = recorded_products()[0]
    _, body, _ = ask("/coinbase/products")
    for name, form in form_of(body[0]).items():
        if name != "auction_mode":  # added after the recording was made
            assert form == form_of(recorded)[name], name


def recorded_products() -> list[dict[str, Any]]:
    with gzip.open(path_of("cryptofeed_COINBASE.0.gz"), "rt") as file:
        _, _, text = file.readline().partition(": [")
    products: list[dict[str, Any]] = json.loads("[" + text)
    return products


def test_kraken_ticker_has_the_form_of_the_recorded_stream() -> None:
    messages = map(json.loads, lines_of("cryptofeed_KRAKEN.ws.49.0.gz"))
    recorded = next(message for message in messages if isinstance(message, list))
    _, body, _ = ask("/kraken/0/public/Ticker?pair=XBTUSD")
    ticker = body["result"]["XXBTZUSD"]
    assert set(ticker) == set(recorded[1])
    for name in ("c", "v", "p", "t", "l", "h"):
        assert form_of(ticker[name]) == form_of(recorded[1][name]), name


@pytest.mark.parametrize("venue", ["coinbase", "binance", "kraken"])
def test_our_adapters_read_what_is_served(venue: str) -> None:
    adapter = ADAPTERS[venue]

    async def use(client: Client) -> None:
        answers = {}
        for request in adapter.requests(["BTC-USD", "ETH-USD"]):
            response = await client.get(f"/{venue}{request.path}", params=dict(request.params))
            assert response.status == 200
            answers[request.name] = await response.read()
        for symbol in ("BTC-USD", "ETH-USD"):
            seen = adapter.parse(symbol, answers)
            tick = assemble(symbol, seen, Stamp(adapter.venue, "simulated", 1, START))
            assert tick.bid is not None
            assert tick.ask is not None
            assert tick.bid < tick.ask
            assert tick.bid_size
            assert abs(float(tick.price) / tick.mid - 1) < 0.01

    serve(use)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/coinbase/products/FOO-USD/ticker", 404, {"message": "NotFound"}),
        ("/coinbase/nothing", 404, {"message": "NotFound"}),
        (
            "/binance/api/v3/ticker/price?symbol=FOO",
            400,
            {"code": -1121, "msg": "Invalid symbol."},
        ),
        ("/kraken/0/public/Ticker?pair=FOO", 200, {"error": ["EQuery:Unknown asset pair"]}),
        ("/kraken/0/public/Ticker", 200, {"error": ["EGeneral:Invalid arguments"]}),
        ("/kraken/0/public/What", 404, {"error": ["EGeneral:Unknown method"]}),
    ],
)
def test_what_the_venues_say_to_mistakes(path: str, status: int, body: Any) -> None:
    assert ask(path)[:2] == (status, body)


TICKER = "/coinbase/products/BTC-USD/ticker"


@pytest.mark.parametrize(
    ("kind", "status"),
    [("rate_limited", 429), ("banned", 418), ("region", 451), ("forbidden", 403)],
)
def test_refusals_on_request(kind: str, status: int) -> None:
    found, _, headers = ask(TICKER, {"kind": kind, "retry_after_s": 7})
    assert found == status
    assert headers.get("Retry-After") == ("7" if status in (429, 418) else None)


def test_server_errors_and_cut_answers_on_request() -> None:
    assert ask(TICKER, {"kind": "server_error", "status": 503})[0] == 503
    status, body, _ = ask(TICKER, {"kind": "malformed"})
    assert status == 200
    assert isinstance(body, str)
    assert body.startswith('{"ask"')


def test_resets_on_request() -> None:
    with pytest.raises(aiohttp.ClientOSError):
        ask(TICKER, {"kind": "reset"})


@pytest.mark.parametrize("value", ["negative", "zero", "jump", "crossed", "nan"])
def test_absurd_values_on_request(value: str) -> None:
    plain = ask(TICKER)[1]
    body = ask(TICKER, {"kind": "absurd", "value": value})[1]
    bid, ask_, price = (float(body[name]) for name in ("bid", "ask", "price"))
    absurd = {
        "negative": price < 0,
        "zero": price == 0,
        "jump": price > 300_000,
        "crossed": bid > ask_,
        "nan": price != price,
    }
    assert absurd[value]
    assert ask("/kraken/0/public/Time", {"kind": "absurd", "value": value})[0] == 200
    assert float(plain["bid"]) < float(plain["ask"])


def test_skew_and_standstill_on_request() -> None:
    plain = ask("/coinbase/products/BTC-USD/book")[1]
    skewed = ask("/coinbase/products/BTC-USD/book", {"kind": "clock_skew", "skew_s": 30})[1]
    times = [datetime.fromisoformat(each["time"]) for each in (plain, skewed)]
    assert (times[1] - times[0]).total_seconds() == 30
    assert skewed["bids"] == plain["bids"]


def test_faults_strike_only_their_venue_and_wrong_ones_are_refused() -> None:
    fault = {"kind": "reset", "venue": "kraken"}
    assert ask(TICKER, fault)[0] == 200

    async def use(client: Client) -> None:
        response = await client.post("/admin/faults", data="{")
        assert response.status == 400
        response = await client.post("/admin/faults", json={"kind": "?"})
        assert response.status == 400
        assert "kind" in (await response.json())["error"]
        await client.post("/admin/faults", json={"kind": "banned"})
        assert (await client.get(TICKER)).status == 418
        assert len((await (await client.get("/status")).json())["faults"]) == 1
        await client.delete("/admin/faults")
        assert (await client.get(TICKER)).status == 200

    serve(use)


def test_rate_limits_answer_as_each_venue_does() -> None:
    async def use(client: Client) -> None:
        statuses = [(await client.get(TICKER)).status for _ in range(17)]
        assert statuses == [200] * 15 + [429] * 2
        for _ in range(3):
            await client.get("/kraken/0/public/Time")
        response = await client.get("/kraken/0/public/Time")
        assert response.status == 200
        assert await response.json() == {"error": ["EGeneral:Too many requests"]}

    serve(use, factor=1.0)


def test_a_market_answers_only_below_the_name_of_its_own_feed() -> None:
    async def run() -> None:
        exchange = Exchange(
            market=ProcessMarket(1, ["BTC-USD"]),
            faults=ActiveFaults((), to_micros(START), 1),
            limits=RateLimits(0),
            clock=FixedClock(),
        )
        async with TestClient(TestServer(make_app(exchange, "simulated"))) as client:
            ticker = "coinbase/products/BTC-USD/ticker"
            assert (await client.get(f"/simulated/{ticker}")).status == 200
            assert (await client.get(f"/{ticker}")).status == 200
            assert (await client.get(f"/replay/{ticker}")).status == 404

    asyncio.run(run())
