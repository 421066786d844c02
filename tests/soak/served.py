"""What the simulator delivered, read from its ledger by this file's own rules, not the collector's.

Prices and sizes stay the very text that was sent.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["Served", "read_ledger"]

_DISTORTING = {"absurd", "malformed"}
_KRAKEN = {"XXBTZUSD": "BTC-USD", "XETHZUSD": "ETH-USD", "XDGUSD": "DOGE-USD"}
_KRAKEN |= {"XLTCZUSD": "LTC-USD", "XXRPZUSD": "XRP-USD", "XXDGZUSD": "DOGE-USD"}


@dataclass
class Served:
    """Everything that was in answers without an error: as it is in the market, or distorted.

    Of contents only hashes are kept: a day has a million of them.
    """

    answers: int = 0
    refusals: int = 0
    books: set[int] = field(default_factory=set)
    lasts: set[int] = field(default_factory=set)
    valid: int = 0  # markets in valid answers that can become ticks
    distorted: int = 0  # answers
    wrong_books: set[int] = field(default_factory=set)
    by_fault: dict[str, int] = field(default_factory=dict)


def read_ledger(path: Path) -> Served:
    """Return what the ledger holds; a last line that is not whole is left out."""
    served = Served()
    with path.open(encoding="utf-8") as lines:
        for text in lines:
            if text.endswith("\n"):
                _note(served, json.loads(text))
    return served


def _note(served: Served, line: dict[str, Any]) -> None:
    for fault in line["faults"]:
        served.by_fault[fault] = served.by_fault.get(fault, 0) + 1
    if line["status"] != 200:
        served.refusals += 1
        return
    served.answers += 1
    distorted = bool(_DISTORTING.intersection(line["faults"]))
    served.distorted += distorted
    try:
        body = json.loads(line["body"])
    except json.JSONDecodeError:
        assert "malformed" in line["faults"], line
        return
    for kind, content in _contents(line["venue"], line["path"], body):
        if kind == "book":
            (served.wrong_books if distorted else served.books).add(hash(content))
        elif not distorted:
            served.lasts.add(hash(content))
            served.valid += line["venue"] != "binance"
    if line["venue"] == "binance" and "bookTicker" in line["path"] and not distorted:
        served.valid += 1


def _contents(venue: str, path: str, body: Any) -> Iterator[tuple[str, Any]]:
    """Yield ("book", best prices) and ("last", last trade), each with venue and symbol before it.

    Sizes are None where the answer has none.
    """
    place = urlsplit(path).path
    if venue == "kraken" and "Ticker" in place:
        for name, one in body.get("result", {}).items():
            symbol = _KRAKEN.get(name) or f"{name.removesuffix('USD')}-USD"
            book = (one["b"][0], one["b"][2], one["a"][0], one["a"][2])
            yield "book", (venue, symbol, *book)
            yield "last", (venue, symbol, one["c"][0], one["c"][1])
    elif venue == "coinbase" and "/products/" in place:
        symbol = place.partition("/products/")[2].partition("/")[0]
        if place.endswith("/ticker"):
            yield "book", (venue, symbol, body["bid"], None, body["ask"], None)
            yield "last", (venue, symbol, body["price"], body["size"])
        elif place.endswith("/book"):
            bid, ask = body["bids"][0], body["asks"][0]
            yield "book", (venue, symbol, bid[0], bid[1], ask[0], ask[1])
    elif venue == "binance":
        name = parse_qs(urlsplit(path).query).get("symbol", [""])[0]
        symbol = f"{name.removesuffix('USDT')}-USD"
        if "bookTicker" in place:
            book = (body["bidPrice"], body["bidQty"], body["askPrice"], body["askQty"])
            yield "book", (venue, symbol, *book)
        elif "aggTrades" in place and body:
            yield "last", (venue, symbol, body[-1]["p"], body[-1]["q"])
