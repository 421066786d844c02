"""What a venue's stream is: what to subscribe to, and a pure parser of each message."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from common.wire import Venue
from data_collector.venues.base import Observation, TakerTrade, Totals

__all__ = ["MarketState", "Message", "StreamAdapter", "Update"]


@dataclass(frozen=True)
class Update:
    """What one message says of one market; what it does not say is None."""

    symbol: str
    event_time: datetime | None = None
    price: Decimal | None = None
    size: Decimal | None = None
    bid: Decimal | None = None
    bid_size: Decimal | None = None
    ask: Decimal | None = None
    ask_size: Decimal | None = None
    trade_id: str | None = None
    trades: tuple[TakerTrade, ...] = ()  # those that this message brings
    last_trade_id: int | None = None  # a heartbeat's: trades up to here should have been seen


@dataclass(frozen=True)
class Message:
    """``kind``: data, a sign of life, or a refusal of the subscription to ``symbol``."""

    kind: Literal["data", "alive", "refused"]
    updates: tuple[Update, ...] = ()
    symbol: str | None = None
    detail: str = ""


class StreamAdapter(ABC):
    """One venue's stream. Stateless: everything depends on the arguments alone."""

    venue: ClassVar[Venue]

    @abstractmethod
    def path(self, symbols: Sequence[str]) -> str:
        """Return what is put behind the venue's address."""

    @abstractmethod
    def subscriptions(self, symbols: Sequence[str]) -> Sequence[str]:
        """Return the messages to send once the connection is open."""

    @abstractmethod
    def parse(self, body: bytes, symbols: Sequence[str]) -> Message:
        """Return what ``body`` says; raises `AnswerError` whatever the bytes."""


@dataclass
class MarketState:
    """One market as the messages of one connection have told it."""

    connection: int
    latest: dict[str, object] = field(default_factory=dict)
    bought: Decimal = Decimal(0)
    sold: Decimal = Decimal(0)
    last_trade_id: int | None = None
    told_trade_id: int | None = None
    gap: bool = False

    def apply(self, update: Update) -> None:
        """Take ``update`` in; note where trades are missing before it."""
        for name in _FIELDS:
            value = getattr(update, name)
            if value is not None:
                self.latest[name] = value
        for trade in update.trades:
            self._count(trade)
        if update.last_trade_id is not None:
            self._compare(update.last_trade_id)

    def observe(self) -> Observation | None:
        """Return the state as an observation; None before the first price and book."""
        if "price" not in self.latest or "bid" not in self.latest:
            return None
        totals = Totals(self.connection, self.bought, self.sold)
        return Observation(**self.latest, totals=totals)  # type: ignore[arg-type]

    def _compare(self, told: int) -> None:
        """Note a gap where a trade that an earlier heartbeat told of has not come since."""
        if self.last_trade_id is None:
            self.last_trade_id = told  # what was before the subscription does not count
        self.gap = self.gap or (self.told_trade_id or 0) > self.last_trade_id
        self.told_trade_id = told

    def _count(self, trade: TakerTrade) -> None:
        before = self.last_trade_id
        if trade.trade_id >= 0:  # Kraken has no identifiers
            if before is not None and trade.trade_id <= before:
                return  # a repeat
            self.gap = self.gap or (before is not None and trade.trade_id > before + 1)
            self.last_trade_id = trade.trade_id
        if trade.size.is_finite():
            self.bought += trade.size if trade.taker_buys else 0
            self.sold += 0 if trade.taker_buys else trade.size


_FIELDS = (
    "event_time",
    "price",
    "size",
    "bid",
    "bid_size",
    "ask",
    "ask_size",
    "trade_id",
)
