"""What every venue's adapter is: requests to send, and a pure parser of their answers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, NamedTuple, TypeVar

import msgspec

from common.wire import Venue
from data_collector.errors import AnswerError

__all__ = ["Adapter", "Answers", "Observation", "Request", "TakerTrade", "Totals", "parse_json"]

Answers = Mapping[str, bytes]  # body by the name of its request


@dataclass(frozen=True, eq=False)
class Request:
    """One GET; ``weight`` counts against the venue's limit, optional ones are left out first."""

    name: str
    path: str
    params: Mapping[str, str]
    symbols: tuple[str, ...]
    weight: int = 1
    required: bool = True


class TakerTrade(msgspec.Struct, frozen=True, gc=False):
    """One trade; identifiers grow."""

    trade_id: int
    size: Decimal
    taker_buys: bool


class Totals(NamedTuple):
    """What takers bought and sold since connection number ``connection`` was opened."""

    connection: int
    bought: Decimal
    sold: Decimal


class Observation(msgspec.Struct, frozen=True):
    """What a venue says of one market; values as sent, not yet judged."""

    price: Decimal
    event_time: datetime | None = None  # None: the venue sent no time stamp
    size: Decimal | None = None
    bid: Decimal | None = None
    bid_size: Decimal | None = None
    ask: Decimal | None = None
    ask_size: Decimal | None = None
    trade_id: str | None = None
    trades: tuple[TakerTrade, ...] = ()  # the last ones, oldest first (REST)
    totals: Totals | None = None  # stream


class Adapter(ABC):
    """One venue. Stateless: everything depends on the arguments alone."""

    venue: ClassVar[Venue]
    limit_per_s: ClassVar[float]  # documented weight for each second, all requests together
    time_path: ClassVar[str]  # a cheap question, for warming up

    @abstractmethod
    def requests(self, symbols: Sequence[str]) -> Sequence[Request]:
        """Return the requests that observe ``symbols``, the most important first."""

    @abstractmethod
    def parse(self, symbol: str, answers: Answers) -> Observation:
        """Return what ``answers`` say of ``symbol``.

        ``answers`` has a body for each required request of the symbol and may lack optional ones.
        Raises `AnswerError` whatever the bytes, `UnsupportedSymbolError` or `BackOffError` where
        the venue says so in the body.
        """

    def plan(self, symbols: Sequence[str], budget_s: float) -> tuple[Request, ...] | None:
        """Return the requests that fit into ``budget_s`` seconds' worth of the venue's limit.

        None if the required ones do not fit.
        """
        budget = self.limit_per_s * budget_s
        chosen = [r for r in self.requests(symbols) if r.required]
        spent = sum(request.weight for request in chosen)
        if spent > budget:
            return None
        for request in self.requests(symbols):
            if not request.required and spent + request.weight <= budget:
                chosen.append(request)
                spent += request.weight
        return tuple(chosen)


Answer = TypeVar("Answer")


def parse_json(body: bytes, decoder: "msgspec.json.Decoder[Answer]") -> Answer:
    """Return the typed content of ``body``; raises `AnswerError` whatever the bytes."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AnswerError("malformed", str(error), body) from error
