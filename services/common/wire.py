"""Messages on the topics: JSON, UTF-8, versioned, validated on both sides.

Prices and sizes are ``Decimal`` and travel as strings, exactly as the venue sent them.
Unknown fields are ignored; an unknown ``schema_version`` is an `InvalidMessageError`.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal, TypeVar

import msgspec

from common.errors import InvalidMessageError

__all__ = [
    "HORIZONS_S",
    "MEDIAN",
    "QUANTILE_LEVELS",
    "SCHEMA_VERSION",
    "DeadLetter",
    "Feed",
    "HorizonForecast",
    "Outcome",
    "Prediction",
    "Tick",
    "Venue",
    "decode",
    "encode",
]

Version = Literal[1]
SCHEMA_VERSION: Version = 1
HORIZONS_S: tuple[int, ...] = (1, 5, 10, 30, 60, 300)
QUANTILE_LEVELS: tuple[float, ...] = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
MEDIAN = QUANTILE_LEVELS.index(0.5)

Feed = Literal["live", "simulated", "replay"]
Venue = Literal["coinbase", "binance", "kraken"]
# A dollar alone would let a line feed at the end through.
Symbol = Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9]{2,10}-[A-Z0-9]{2,10}$(?!\n)")]
Sequence = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # the store's BIGINT

_UTC_OFFSET = timedelta(0)
# Characters of a decimal written out (the store's columns); no market needs half of them.
_LONGEST_DECIMAL = 40
# Three prices and five sizes as their text, the common case: finite, short, prices not zero.
_SIZE = rf"[0-9.]{{1,{_LONGEST_DECIMAL}}}"
_PRICE = rf"(?=[0.]*[1-9]){_SIZE}"
_PLAIN = re.compile(rf"{_PRICE}(?: (?:{_PRICE}|None)){{2}}(?: (?:{_SIZE}|None)){{5}}")
_TRADE_ID = re.compile(r"[!-~]{1,40}")  # printable ASCII: databases refuse some of the rest
_SIZES = ("size", "bid_size", "ask_size", "buy_volume", "sell_volume")


def _require_utc(name: str, moment: datetime) -> None:
    if moment.tzinfo is not UTC and moment.utcoffset() != _UTC_OFFSET:
        raise ValueError(f"{name} must be UTC, got {moment.isoformat()}")


def _require_positive(name: str, value: Decimal) -> None:
    if not (value.is_finite() and value > 0):
        raise ValueError(f"{name} must be finite and positive, got {value}")
    _require_short(name, value)


def _require_short(name: str, value: Decimal) -> None:
    text = str(value)
    if "E" in text and abs(value.adjusted()) < _LONGEST_DECIMAL:
        text = f"{value:f}"
    if len(text) > _LONGEST_DECIMAL or "E" in text:
        raise ValueError(f"{name} has more than {_LONGEST_DECIMAL} characters, got {value!s:.60}")


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """One observation of a market.

    ``sequence`` is the microsecond of the collector's schedule, for REST and streams alike:
    increasing, unique for (feed, symbol), the same for two replicas that saw the same second,
    so that downstream removes repeats by key. Sizes are in the base currency. ``buy_volume`` and
    ``sell_volume`` are what takers bought and sold since the last tick, where the venue tells.
    Whatever is valid here fits into the store.
    """

    symbol: Symbol
    venue: Venue
    feed: Feed
    sequence: Sequence
    event_time: datetime
    receive_time: datetime
    price: Decimal
    size: Decimal | None = None
    bid: Decimal | None = None
    bid_size: Decimal | None = None
    ask: Decimal | None = None
    ask_size: Decimal | None = None
    buy_volume: Decimal | None = None
    sell_volume: Decimal | None = None
    trade_id: str | None = None
    event_time_estimated: bool = False  # the venue sent no time stamp: receive time stands in
    schema_version: Version = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.event_time.tzinfo is not UTC or self.receive_time.tzinfo is not UTC:
            _require_utc("event_time", self.event_time)
            _require_utc("receive_time", self.receive_time)
        # One look at the text of all decimals, as thousands of ticks come in a second.
        text = f"{self.price!s} {self.bid!s} {self.ask!s} {self.size!s} {self.bid_size!s}"
        text = f"{text} {self.ask_size!s} {self.buy_volume!s} {self.sell_volume!s}"
        if not _PLAIN.fullmatch(text):
            self._require_prices()
            self._require_sizes()
        if self.trade_id is not None and not _TRADE_ID.fullmatch(self.trade_id):
            raise ValueError(
                f"trade_id must be 1 to 40 printable characters: {self.trade_id!r:.60}"
            )
        if self.bid is not None and self.ask is not None and self.bid > self.ask:
            raise ValueError(f"bid {self.bid} is above ask {self.ask}")

    def _require_prices(self) -> None:
        _require_positive("price", self.price)
        if self.bid is not None:
            _require_positive("bid", self.bid)
        if self.ask is not None:
            _require_positive("ask", self.ask)

    def _require_sizes(self) -> None:
        for name in _SIZES:
            value = getattr(self, name)
            if value is not None:
                if not (value.is_finite() and value >= 0):
                    raise ValueError(f"{name} must be finite and not negative, got {value}")
                _require_short(name, value)

    @property
    def mid(self) -> float:
        """Return the mid price where both sides of the book are known, else the last price."""
        if self.bid is None or self.ask is None:
            return float(self.price)
        return float((self.bid + self.ask) / 2)


class HorizonForecast(msgspec.Struct, frozen=True, kw_only=True):
    """Predictive distribution of the mid price at ``target_time``.

    ``quantiles`` has one price for each of `QUANTILE_LEVELS`, not decreasing.
    """

    horizon_s: int
    target_time: datetime
    mean: float
    quantiles: tuple[float, ...]

    def __post_init__(self) -> None:
        _require_utc("target_time", self.target_time)
        if len(self.quantiles) != len(QUANTILE_LEVELS):
            raise ValueError(
                f"expected {len(QUANTILE_LEVELS)} quantiles, got {len(self.quantiles)}"
            )
        if any(b < a for a, b in zip(self.quantiles, self.quantiles[1:], strict=False)):
            raise ValueError("quantiles decrease")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an earlier prediction came out, scored at its target time.

    ``crps`` is the quantile approximation of the continuous ranked probability score in the quote
    currency; ``crps_last_value`` and ``crps_baseline`` are those of the two references.
    """

    horizon_s: int
    issue_time: datetime
    target_time: datetime
    model_version: str
    reference_price: float
    predicted: float
    actual: float
    crps: float
    crps_last_value: float
    crps_baseline: float
    inside_50: bool
    inside_80: bool
    inside_95: bool
    width_95: float

    @property
    def error(self) -> float:
        """Return actual minus predicted, in the quote currency."""
        return self.actual - self.predicted


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """Everything issued for one tick: a forecast for each horizon, and what came due with it."""

    symbol: Symbol
    venue: Venue
    feed: Feed
    sequence: int
    issue_time: datetime
    reference_price: float
    model_version: str
    horizons: tuple[HorizonForecast, ...]
    outcomes: tuple[Outcome, ...] = ()
    schema_version: Version = SCHEMA_VERSION

    def __post_init__(self) -> None:
        _require_utc("issue_time", self.issue_time)


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message or observation that was refused, with the reason and where it came from."""

    reason: str
    detail: str
    origin: str
    received_time: datetime
    payload: str
    symbol: str | None = None
    schema_version: Version = SCHEMA_VERSION


Message = TypeVar("Message", Tick, Prediction, DeadLetter)

_encoder = msgspec.json.Encoder(decimal_format="string")
_decoders: dict[type, msgspec.json.Decoder[object]] = {
    kind: msgspec.json.Decoder(kind) for kind in (Tick, Prediction, DeadLetter)
}


def encode(message: Tick | Prediction | DeadLetter) -> bytes:
    """Return ``message`` as UTF-8 JSON."""
    return _encoder.encode(message)


def decode(payload: bytes, kind: type[Message]) -> Message:
    """Return the validated message in ``payload``.

    Raises `InvalidMessageError` for anything that is not a valid ``kind`` of a known version.
    """
    try:
        message = _decoders[kind].decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidMessageError(str(error)) from error
    assert isinstance(message, kind)
    return message
