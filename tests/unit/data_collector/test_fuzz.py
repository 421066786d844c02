"""Whatever the bytes: a tick, or the declared exception."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.wire import Tick, Venue, decode, encode
from data_collector.assembly import Stamp, assemble, flow_since
from data_collector.errors import VenueError
from data_collector.validation import Limits, Validator
from data_collector.venues import ADAPTERS

NOW = datetime(2026, 1, 1, tzinfo=UTC)

numbers = st.one_of(
    st.floats().map(str),
    st.decimals().map(str),
    st.integers().map(str),
    st.sampled_from(
        ["NaN", "sNaN", "Infinity", "-0", "1e999999", "1E-999999", "", "0x1", "\uff11"]
    ),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), numbers)
times = st.one_of(scalars, st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T05:00:00+05:00"]))
trade_ids = st.one_of(scalars, st.integers(0, 1 << 70))


def _pairs(length: int) -> st.SearchStrategy[Any]:
    return st.lists(st.tuples(*[st.one_of(numbers, scalars)] * length), max_size=2)


coinbase = st.fixed_dictionaries(
    {
        "ticker:BTC-USD": st.fixed_dictionaries(
            {
                "trade_id": trade_ids,
                "price": numbers,
                "size": numbers,
                "time": times,
                "bid": numbers,
                "ask": numbers,
            }
        ),
        "book:BTC-USD": st.fixed_dictionaries(
            {"bids": _pairs(3), "asks": _pairs(3), "time": times}
        ),
        "trades:BTC-USD": st.lists(
            st.fixed_dictionaries(
                {"trade_id": trade_ids, "side": st.sampled_from(["buy", "sell"]), "size": numbers}
            ),
            max_size=3,
        ),
    }
)
binance = st.fixed_dictionaries(
    {
        "book:BTC-USD": st.fixed_dictionaries(
            {
                "symbol": st.just("BTCUSDT"),
                "bidPrice": numbers,
                "bidQty": numbers,
                "askPrice": numbers,
                "askQty": numbers,
            }
        ),
        "trades:BTC-USD": st.lists(
            st.fixed_dictionaries(
                {"a": trade_ids, "p": numbers, "q": numbers, "T": st.integers(), "m": st.booleans()}
            ),
            max_size=3,
        ),
    }
)
kraken = st.fixed_dictionaries(
    {
        "ticker": st.fixed_dictionaries(
            {
                "error": st.lists(st.text(), max_size=1),
                "result": st.fixed_dictionaries(
                    {
                        "XXBTZUSD": st.fixed_dictionaries(
                            {
                                "a": st.tuples(numbers, numbers, numbers),
                                "b": st.tuples(numbers, numbers, numbers),
                                "c": st.tuples(numbers, numbers),
                            }
                        )
                    }
                ),
            }
        )
    }
)


def check(venue: Venue, answers: dict[str, bytes]) -> None:
    stamp = Stamp(venue, "live", 1_000_000, NOW)
    try:
        seen = ADAPTERS[venue].parse("BTC-USD", answers)
        tick = assemble("BTC-USD", seen, stamp, flow_since(seen.trades, 0))
    except VenueError:
        return
    assert decode(encode(tick), Tick) == tick
    validator = Validator(Limits())
    if validator.check(tick) is None:
        assert validator.last_sequence("BTC-USD") == 1_000_000


@pytest.mark.parametrize("venue", list(ADAPTERS))
@given(body=st.binary(max_size=200))
def test_any_bytes(venue: Venue, body: bytes) -> None:
    names = ("ticker:BTC-USD", "book:BTC-USD", "trades:BTC-USD", "ticker")
    check(venue, dict.fromkeys(names, body))


def _encoded(answers: dict[str, Any]) -> dict[str, bytes]:
    return {name: json.dumps(body).encode() for name, body in answers.items()}


@given(answers=coinbase)
def test_coinbase_shaped(answers: dict[str, Any]) -> None:
    check("coinbase", _encoded(answers))


@given(answers=binance)
def test_binance_shaped(answers: dict[str, Any]) -> None:
    check("binance", _encoded(answers))


@given(answers=kraken)
def test_kraken_shaped(answers: dict[str, Any]) -> None:
    check("kraken", _encoded(answers))
