"""The streams' parsers against recorded messages, and what the state makes of them."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.data_collector.recordings import lines_of, path_of

from common.wire import Venue
from data_collector.assembly import Flow, flow_between, flow_since
from data_collector.errors import AnswerError
from data_collector.skew import SkewEstimate
from data_collector.venues import TakerTrade, Totals
from data_collector.venues.streams import STREAMS, MarketState, Message, Update
from data_collector.venues.streams.kraken import pair_of

COINBASE_ERROR = json.dumps(
    {
        "type": "error",
        "message": "Failed to subscribe",
        "reason": "FOO-USD is not a valid product",
    }
)
KRAKEN_ERROR = json.dumps(
    {
        "event": "subscriptionStatus",
        "status": "error",
        "pair": "FOO/USD",
        "errorMessage": "Currency pair not supported FOO/USD",
    }
)
OPTIONAL = ("product_id", "price", "best_bid", "best_ask", "time", "size", "side")


def read(venue: Venue, line: str, *symbols: str) -> Message:
    return STREAMS[venue].parse(line.encode(), symbols)


def test_coinbase_recording_has_every_trade_once_and_the_tickers_prices() -> None:
    """97 matches, 107 tickers: the same flow by the trades as by the tickers' own sizes."""
    states: dict[str, MarketState] = {}
    sizes: dict[str, Decimal] = {}
    kinds: dict[str, int] = {}
    for line in lines_of("cryptofeed_COINBASE.ws.28.0.gz"):
        recorded = json.loads(line)
        if recorded["type"] not in ("ticker", "match", "last_match", "subscriptions"):
            continue
        kinds[recorded["type"]] = kinds.get(recorded["type"], 0) + 1
        message = read("coinbase", line)
        for update in message.updates:
            state = states.setdefault(update.symbol, MarketState(1))
            state.apply(update)
            assert not state.gap
        if recorded["type"] == "match":
            product = recorded["product_id"]
            sizes[product] = sizes.get(product, Decimal(0)) + Decimal(recorded["size"])
        if recorded["type"] == "ticker":
            seen = states[recorded["product_id"]].observe()
            assert seen is not None
            assert str(seen.price) == recorded["price"]
            assert (str(seen.bid), str(seen.ask)) == (recorded["best_bid"], recorded["best_ask"])
            assert seen.trade_id == str(recorded["trade_id"])
            assert seen.event_time == datetime.fromisoformat(recorded["time"])
    assert (kinds["ticker"], kinds["match"], kinds["last_match"]) == (107, 97, 10)
    assert {name: s.bought + s.sold for name, s in states.items() if s.bought + s.sold} == sizes


def test_a_coinbase_maker_who_sells_met_a_taker_who_buys() -> None:
    lines = lines_of("cryptofeed_COINBASE.ws.28.0.gz")
    match = next(line for line in lines if '"type":"match","trade_id":1568268' in line)
    assert '"side":"sell"' in match
    trade = read("coinbase", match).updates[0].trades[0]
    assert trade == TakerTrade(1568268, Decimal("450"), taker_buys=True)


def test_binance_recorded_book_tickers() -> None:
    symbols = ("NKN-USD", "BLZ-ETH", "LRC-BTC", "RUNE-EUR")
    found = 0
    for line in lines_of("cryptofeed_BINANCE.ws.1.0.gz"):
        recorded = json.loads(line)
        message = read("binance", line, *symbols)
        if recorded["stream"].endswith("@bookTicker"):
            update, data = message.updates[0], recorded["data"]
            prices = str(update.bid), str(update.bid_size), str(update.ask), str(update.ask_size)
            assert prices == (data["b"], data["B"], data["a"], data["A"])
            found += 1
        elif recorded["stream"].endswith("@aggTrade"):
            assert str(message.updates[0].price) == recorded["data"]["p"]
        else:
            assert message.kind == "alive"
    assert found == 84


def test_kraken_recorded_ticker_trades_and_events() -> None:
    pairs = ["WAVES-EUR", "XMR-USD", "KSM-BTC", "GRT-ETH", "SC-EUR", "ETH-CHF", "OCEAN-BTC"]
    symbols = (*pairs, "OMG-USD", "BTC-CHF", "ADA-BTC")
    tickers = trades = 0
    for name in ("cryptofeed_KRAKEN.ws.48.0.gz", "cryptofeed_KRAKEN.ws.49.0.gz"):
        for line in lines_of(name):
            recorded = json.loads(line)
            message = read("kraken", line, *symbols)
            if isinstance(recorded, dict):
                assert message.kind == "alive"
            elif recorded[2] == "ticker":
                update = message.updates[0]
                assert pair_of(update.symbol) == recorded[3]
                assert (str(update.bid), str(update.bid_size)) == (
                    recorded[1]["b"][0],
                    recorded[1]["b"][2],
                )
                tickers += 1
            else:
                assert [str(u.price) for u in message.updates] == [row[0] for row in recorded[1]]
                assert [u.trades[0].taker_buys for u in message.updates] == [
                    row[3] == "b" for row in recorded[1]
                ]
                trades += 1
    assert tickers >= 10
    assert trades >= 3


def test_other_recorded_messages_of_kraken() -> None:
    lines = path_of("gct_kraken_wsHandleData.json").read_text().splitlines()
    ticker = next(line for line in lines if '"ticker"' in line)
    update = read("kraken", ticker, "BTC-USD").updates[0]
    assert (str(update.bid), str(update.ask)) == ("5525.10000", "5525.40000")


@pytest.mark.parametrize(
    ("venue", "line", "symbol"),
    [
        ("coinbase", COINBASE_ERROR, "FOO-USD"),
        ("kraken", KRAKEN_ERROR, "FOO-USD"),
    ],
)
def test_a_refused_subscription_names_its_market(venue: Venue, line: str, symbol: str) -> None:
    message = read(venue, line, "BTC-USD", "FOO-USD")
    assert (message.kind, message.symbol) == ("refused", symbol)


def trade(number: int, size: int = 1, *, buys: bool = True) -> Update:
    return Update("BTC-USD", trades=(TakerTrade(number, Decimal(size), buys),))


def test_a_missing_trade_is_a_gap_and_a_repeat_is_not() -> None:
    state = MarketState(1)
    for number in (5, 6, 6, 5, 7):
        state.apply(trade(number))
    assert not state.gap
    assert state.bought == 3
    state.apply(trade(9))
    assert state.gap


def test_a_heartbeat_shows_a_gap_when_the_trade_has_not_come_by_the_next() -> None:
    state = MarketState(1)
    state.apply(Update("BTC-USD", last_trade_id=7))
    state.apply(Update("BTC-USD", last_trade_id=9))  # 8 and 9 may still be on their way
    assert not state.gap
    late = MarketState(1)
    late.apply(Update("BTC-USD", last_trade_id=7))
    late.apply(Update("BTC-USD", last_trade_id=8))
    late.apply(trade(8))
    late.apply(Update("BTC-USD", last_trade_id=8))
    assert not late.gap
    state.apply(Update("BTC-USD", last_trade_id=9))
    assert state.gap


def test_nothing_is_observed_before_price_and_book() -> None:
    state = MarketState(4)
    state.apply(Update("BTC-USD", price=Decimal(10)))
    assert state.observe() is None
    state.apply(Update("BTC-USD", bid=Decimal(9), ask=Decimal(11)))
    seen = state.observe()
    assert seen is not None
    assert (str(seen.price), str(seen.bid)) == ("10", "9")
    assert seen.totals == Totals(4, Decimal(0), Decimal(0))


def test_flow_between_ticks() -> None:
    before, now = Totals(1, Decimal(5), Decimal(2)), Totals(1, Decimal(8), Decimal(2))
    assert flow_between(before, now) == Flow(Decimal(3), Decimal(0))
    assert flow_between(None, now) is None
    assert flow_between(before, Totals(2, Decimal(1), Decimal(1))) is None


def test_flow_of_rest_is_unknown_where_trades_may_be_missing() -> None:
    trades = [TakerTrade(k, Decimal(1), k % 2 == 0) for k in range(10, 20)]
    assert flow_since(trades, 16) == Flow(Decimal(1), Decimal(2))
    assert flow_since(trades, 19) == Flow(Decimal(0), Decimal(0))
    assert flow_since(trades, 9) == Flow(Decimal(5), Decimal(5))
    assert flow_since(trades, 8) is None
    assert flow_since(trades, None) is None
    assert flow_since([], 9) is None


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)
shaped = st.one_of(
    json_values,
    st.tuples(json_values, json_values, st.sampled_from(["ticker", "trade"]), st.just("XBT/USD")),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["ticker", "match", "heartbeat", "error"])},
        optional=dict.fromkeys(OPTIONAL, json_values),
    ),
    st.fixed_dictionaries(
        {
            "stream": st.sampled_from(["btcusdt@bookTicker", "btcusdt@aggTrade"]),
            "data": json_values,
        }
    ),
)


@pytest.mark.parametrize("venue", list(STREAMS))
@given(body=st.one_of(st.binary(max_size=100), shaped.map(lambda v: json.dumps(v).encode())))
def test_any_bytes_give_a_message_or_the_declared_exception(venue: Venue, body: bytes) -> None:
    try:
        message = STREAMS[venue].parse(body, ("BTC-USD",))
    except AnswerError:
        return
    state = MarketState(1)
    for update in message.updates:
        state.apply(update)
    state.observe()


def test_skew_is_the_largest_lead_of_the_last_ticks() -> None:
    estimate = SkewEstimate()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert estimate.seconds == 0
    for latency_ms in (40, 5, 900, 30):
        event = now.timestamp() + 1.3 - latency_ms / 1000
        estimate.add(datetime.fromtimestamp(event, UTC), now)
    assert estimate.seconds == pytest.approx(1.295)
    for _ in range(120):
        estimate.add(now, now)
    assert estimate.seconds == 0
