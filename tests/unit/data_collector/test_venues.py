"""Each adapter against recorded answers, with the values asserted."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.data_collector.recordings import binance_rest, lines_of

from data_collector.errors import (
    AnswerError,
    BackOffError,
    RetryError,
    UnsupportedSymbolError,
    VenueError,
)
from data_collector.venues import ADAPTERS, TakerTrade
from data_collector.venues.binance import market_name
from data_collector.venues.kraken import pair_name

COINBASE_TICKER = {  # the documented example
    "trade_id": 4729088,
    "price": "333.99",
    "size": "0.193",
    "bid": "333.98",
    "ask": "333.99",
    "volume": "5957.11914015",
    "time": "2015-11-14T20:46:03.511254Z",
}
COINBASE_BOOK = {
    "bids": [["333.97", "4.5", 2]],
    "asks": [["333.98", "1.25000000", 7]],
    "sequence": 3,
    "auction_mode": False,
    "auction": None,
    "time": "2015-11-14T20:46:04.000000Z",
}


def encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_coinbase_ticker_alone_has_no_sizes_of_the_book() -> None:
    seen = ADAPTERS["coinbase"].parse("BTC-USD", {"ticker:BTC-USD": encode(COINBASE_TICKER)})
    assert (seen.price, seen.size, seen.trade_id) == (
        Decimal("333.99"),
        Decimal("0.193"),
        "4729088",
    )
    assert (seen.bid, seen.ask) == (Decimal("333.98"), Decimal("333.99"))
    assert (seen.bid_size, seen.ask_size) == (None, None)
    assert seen.event_time == datetime(2015, 11, 14, 20, 46, 3, 511254, UTC)


def test_coinbase_book_has_the_newer_prices_and_keeps_decimals_as_sent() -> None:
    trades = [
        {"trade_id": 12, "side": "buy", "size": "0.5", "price": "1", "time": "x"},
        {"trade_id": 11, "side": "sell", "size": "0.25", "price": "1", "time": "x"},
    ]
    answers = {
        "ticker:BTC-USD": encode(COINBASE_TICKER),
        "book:BTC-USD": encode(COINBASE_BOOK),
        "trades:BTC-USD": encode(trades),
    }
    seen = ADAPTERS["coinbase"].parse("BTC-USD", answers)
    assert (seen.bid, seen.bid_size) == (Decimal("333.97"), Decimal("4.5"))
    assert str(seen.ask_size) == "1.25000000"
    assert seen.event_time == datetime(2015, 11, 14, 20, 46, 4, tzinfo=UTC)
    # The side is the maker's: a maker who buys met a taker who sells.
    assert seen.trades == (
        TakerTrade(11, Decimal("0.25"), taker_buys=True),
        TakerTrade(12, Decimal("0.5"), taker_buys=False),
    )


def test_binance_recorded_answers() -> None:
    answers = {
        "book:BTC-USD": encode(binance_rest("/api/v3/ticker/bookTicker", "BTCUSDT")),
        "trades:BTC-USD": encode(binance_rest("/api/v3/aggTrades", "BTCUSDT")),
    }
    seen = ADAPTERS["binance"].parse("BTC-USD", answers)
    assert (str(seen.bid), str(seen.bid_size)) == ("6621.55000000", "0.16356700")
    assert (str(seen.ask), str(seen.ask_size)) == ("6622.10000000", "0.18635000")
    assert seen.event_time is None
    recorded = binance_rest("/api/v3/aggTrades", "BTCUSDT")
    assert len(seen.trades) == len(recorded)
    assert seen.trades[0] == TakerTrade(284861205, Decimal("0.177001"), taker_buys=False)
    assert str(seen.price) == recorded[-1]["p"]
    assert seen.trade_id == str(recorded[-1]["a"])


def test_kraken_recorded_ticker() -> None:
    """The fields are those of the recorded stream, whose ticker has the REST answer's form."""
    found = 0
    for line in lines_of("cryptofeed_KRAKEN.ws.49.0.gz"):
        message = json.loads(line)
        if isinstance(message, list):
            body = {"error": [], "result": {message[3].replace("/", ""): message[1]}}
            symbol = message[3].replace("/", "-").replace("XBT", "BTC")
            seen = ADAPTERS["kraken"].parse(symbol, {"ticker": encode(body)})
            assert str(seen.bid) == message[1]["b"][0]
            assert str(seen.ask_size) == message[1]["a"][2]
            assert str(seen.price) == message[1]["c"][0]
            found += 1
    assert found >= 10


def test_kraken_old_listings_have_prefixes() -> None:
    ticker = {"a": ["2.1", "1", "1.5"], "b": ["2.0", "3", "3.25"], "c": ["2.05", "0.1"]}
    for name in ("XXBTZUSD", "XBTUSD"):
        body = encode({"error": [], "result": {name: ticker}})
        seen = ADAPTERS["kraken"].parse("BTC-USD", {"ticker": body})
        assert (seen.bid, seen.bid_size) == (Decimal("2.0"), Decimal("3.25"))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("EGeneral:Too many requests", BackOffError),
        ("EQuery:Unknown asset pair", UnsupportedSymbolError),
        ("EService:Unavailable", RetryError),
        ("EGeneral:Invalid arguments", AnswerError),
    ],
)
def test_kraken_failures_under_http_200(said: str, expected: type[VenueError]) -> None:
    with pytest.raises(expected, match=said):
        ADAPTERS["kraken"].parse("BTC-USD", {"ticker": encode({"error": [said]})})


def test_binance_refuses_an_answer_about_another_market() -> None:
    body = {"symbol": "ETHUSDT", "bidPrice": "1", "bidQty": "1", "askPrice": "2", "askQty": "1"}
    answers = {"book:BTC-USD": encode(body), "trades:BTC-USD": b"[]"}
    with pytest.raises(AnswerError, match="ETHUSDT"):
        ADAPTERS["binance"].parse("BTC-USD", answers)


def test_names_of_markets() -> None:
    assert market_name("BTC-USD") == "BTCUSDT"
    assert market_name("ETH-EUR") == "ETHEUR"
    assert pair_name("DOGE-USD") == "XDGUSD"


def test_plan_leaves_out_what_the_limit_does_not_allow() -> None:
    def names(count: int) -> list[str]:
        plan = ADAPTERS["coinbase"].plan([f"S{k}-USD" for k in range(count)], 1.0)
        return [] if plan is None else [request.name.partition(":")[0] for request in plan]

    assert names(1) == ["ticker", "book", "trades"]
    assert names(5) == ["ticker"] * 5 + ["book"] * 5
    assert names(8) == ["ticker"] * 8 + ["book"] * 2
    assert names(11) == []
    assert len(ADAPTERS["kraken"].plan(["A-USD"] * 8, 1.0) or ()) == 1
    assert ADAPTERS["kraken"].plan(["A-USD"], 0.5) is None
