from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidMessageError
from common.wire import Tick, decode, encode

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def tick(**changes: object) -> Tick:
    fields: dict[str, object] = {
        "symbol": "BTC-USD",
        "venue": "coinbase",
        "feed": "simulated",
        "sequence": 1,
        "event_time": MOMENT,
        "receive_time": MOMENT,
        "price": Decimal("64000.10"),
        "bid": Decimal("64000.00"),
        "ask": Decimal("64000.20"),
    }
    return Tick(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_tick_survives_the_wire_with_its_decimals_as_sent() -> None:
    sent = tick()
    received = decode(encode(sent), Tick)
    assert received == sent
    assert str(received.price) == "64000.10"
    assert received.event_time.microsecond == 678901


def test_the_mid_price_is_the_middle_of_the_book_or_the_last_price() -> None:
    assert tick().mid == pytest.approx(64000.10)
    assert tick(bid=None).mid == pytest.approx(64000.10)
    assert tick(bid=Decimal("63999")).mid == pytest.approx(63999.6)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": "-1"}, "price must be finite and positive"),
        ({"price": "NaN"}, "price must be finite and positive"),
        ({"price": "Infinity"}, "price must be finite and positive"),
        ({"bid": "65000"}, "is above ask"),
        ({"ask_size": "-0.1"}, "ask_size must be finite and not negative"),
        ({"event_time": "2026-01-02T03:04:05+01:00"}, "event_time must be UTC"),
        ({"schema_version": 2}, "schema_version"),
        ({"symbol": "btc"}, "symbol"),
        ({"symbol": "BTC-USD\n"}, "symbol"),
        ({"sequence": -1}, "sequence"),
        ({"sequence": 2**63}, "sequence"),
        # What the store's columns could not hold, in the writing that they use (never 1E-8).
        ({"price": "1." + "0" * 39}, "price has more than 40 characters"),
        ({"price": "1E+40"}, "price has more than 40 characters"),
        ({"size": "1E-39"}, "size has more than 40 characters"),
        ({"ask_size": "1E-999999999"}, "ask_size has more than 40 characters"),
        ({"trade_id": "1" * 41}, "trade_id must be"),
        ({"trade_id": "a\x00b"}, "trade_id must be"),
        ({"venue": "mtgox"}, "venue"),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason(change: dict[str, object], reason: str) -> None:
    fields = msgspec.json.decode(encode(tick()))
    with pytest.raises(InvalidMessageError, match=reason):
        decode(msgspec.json.encode({**fields, **change}), Tick)


def test_unknown_fields_are_ignored() -> None:
    fields = msgspec.json.decode(encode(tick()))
    assert decode(msgspec.json.encode({**fields, "later": 1}), Tick) == tick()


def test_bytes_that_are_no_json_are_refused() -> None:
    with pytest.raises(InvalidMessageError):
        decode(b"\xff\x00", Tick)


@pytest.mark.parametrize("text", ["1." + "0" * 38, "1E+39", "1E-38", "9" * 40])
def test_the_longest_decimals_that_fit(text: str) -> None:
    sent = tick(price=Decimal(text), bid=None, ask=None)
    assert len(f"{sent.price:f}") == 40
    assert decode(encode(sent), Tick) == sent


@given(value=st.decimals(allow_nan=False, allow_infinity=False, min_value=0))
def test_whatever_is_valid_fits_into_the_store(value: Decimal) -> None:
    try:
        valid = tick(size=value, bid=None, ask=None)
    except ValueError:
        assert len(f"{value:f}") > 40 or value.is_signed()
    else:
        assert len(f"{valid.size:f}") <= 40
