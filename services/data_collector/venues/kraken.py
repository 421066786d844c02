"""Kraken: one ticker request for all symbols; failures stand in ``error``, mostly under 200."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import ClassVar

import msgspec

from common.wire import Venue
from data_collector.errors import AnswerError, BackOffError, RetryError, UnsupportedSymbolError
from data_collector.venues.base import Adapter, Answers, Observation, Request, parse_json

__all__ = ["KrakenAdapter", "code_of", "pair_name"]

_CODES: Mapping[str, str] = MappingProxyType({"BTC": "XBT", "DOGE": "XDG"})


class _Ticker(msgspec.Struct):
    ask: tuple[Decimal, Decimal, Decimal] = msgspec.field(name="a")  # price, whole lots, lots
    bid: tuple[Decimal, Decimal, Decimal] = msgspec.field(name="b")
    close: tuple[Decimal, Decimal] = msgspec.field(name="c")  # price, size of the last trade


class _Answer(msgspec.Struct):
    error: list[str]
    result: dict[str, _Ticker] = {}


_answer = msgspec.json.Decoder(_Answer)


def code_of(currency: str) -> str:
    """Return Kraken's own code of a currency."""
    return _CODES.get(currency, currency)


def pair_name(symbol: str) -> str:
    """Return ``XBTUSD`` of ``BTC-USD``."""
    base, _, quote = symbol.partition("-")
    return code_of(base) + code_of(quote)


def _result_names(symbol: str) -> tuple[str, str]:
    """Return how the answer may call the pair: old listings have X and Z before the codes."""
    base, _, quote = symbol.partition("-")
    return pair_name(symbol), f"X{code_of(base)}Z{quote}"


class KrakenAdapter(Adapter):
    """About one request a second is allowed, whatever the number of symbols; no trade flow."""

    venue: ClassVar[Venue] = "kraken"
    limit_per_s: ClassVar[float] = 1.0
    time_path: ClassVar[str] = "/0/public/Time"

    def requests(self, symbols: Sequence[str]) -> Sequence[Request]:
        """Return the one request."""
        pairs = ",".join(pair_name(symbol) for symbol in symbols)
        return [Request("ticker", "/0/public/Ticker", {"pair": pairs}, tuple(symbols))]

    def parse(self, symbol: str, answers: Answers) -> Observation:
        """Return the ticker of ``symbol``; the venue sends no time stamp."""
        body = answers["ticker"]
        answer = parse_json(body, _answer)
        if answer.error:
            raise _venue_error(answer.error, body)
        found = [answer.result[name] for name in _result_names(symbol) if name in answer.result]
        if not found:
            raise AnswerError("malformed", f"no {symbol} in the answer", body)
        ticker = found[0]
        return Observation(
            price=ticker.close[0],
            size=ticker.close[1],
            bid=ticker.bid[0],
            bid_size=ticker.bid[2],
            ask=ticker.ask[0],
            ask_size=ticker.ask[2],
        )


def _venue_error(errors: Sequence[str], body: bytes) -> Exception:
    text = ", ".join(errors)
    if "Too many requests" in text or "Rate limit" in text or "Temporary lockout" in text:
        return BackOffError(text)
    if "Unknown asset pair" in text:
        return UnsupportedSymbolError(text)
    if text.startswith(("EService", "EGeneral:Internal")):
        return RetryError(text)
    return AnswerError("malformed", text, body)
