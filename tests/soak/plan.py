"""What happens when: drawn under a seed. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["EXCHANGE_KINDS", "PROCESS_FAULTS", "SYMBOLS", "Event", "Plan", "draw"]

SYMBOLS = tuple(
    f"{base}-USD" for base in ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LTC", "LINK")
)

# Of each: how long it lasts, in seconds (0: a moment).
PROCESS_FAULTS = {
    "kafka killed": 3.0,
    "kafka frozen": 6.0,
    "zookeeper killed": 3.0,
    "zookeeper frozen": 5.0,
    "collector killed": 1.0,
    "forecaster killed": 1.0,
    "collector's disk full": 4.0,
    "forecaster's disk full": 4.0,
    "rubbish in the topic": 0.0,
}
# Until the next one. A killed collector's symbols are taken over within 10 s.
_SETTLE_S = {"collector killed": 12.0}
_USUALLY_S = 3.0
_BEGINNING_S = 15.0
EXCHANGE_KINDS = (  # of polled answers; "gap" is one of streams
    "rate_limited",
    "banned",
    "region",
    "forbidden",
    "server_error",
    "reset",
    "slow",
    "malformed",
    "absurd",
    "clock_skew",
    "stale",
)
_FOR_GOOD = ("region", "forbidden")
_ABSURD = ("negative", "zero", "jump", "crossed", "nan")


@dataclass(frozen=True)
class Event:
    """Something done to a process, ``at_s`` seconds after the start, undone after ``for_s``."""

    at_s: float
    what: str
    for_s: float


@dataclass(frozen=True)
class Plan:
    """``exchange`` is a timeline as the simulator reads it; both are in the order of time."""

    seconds: float
    events: Sequence[Event]
    exchange: Sequence[dict[str, Any]]

    @property
    def faults(self) -> int:
        """Return how many faults there are in all."""
        return len(self.events) + len(self.exchange)


def draw(seed: int, *, rounds: int, exchange_rounds: int, least_s: float = 0.0) -> Plan:
    """Return a plan with ``rounds`` of every process fault and so many of every exchange fault.

    It takes the time that these need, or ``least_s``.
    """
    source = random.Random(seed)
    events: list[Event] = []
    at_s = 8.0
    for _ in range(rounds):
        kinds = list(PROCESS_FAULTS)
        source.shuffle(kinds)
        for what in kinds:
            for_s = PROCESS_FAULTS[what]
            events.append(Event(round(at_s + source.uniform(0, 2), 2), what, for_s))
            at_s += for_s + _SETTLE_S.get(what, _USUALLY_S)
    seconds = max(at_s + 8.0, least_s)
    stretch = (seconds - 8.0) / at_s
    events = [replace(event, at_s=round(event.at_s * stretch, 2)) for event in events]
    exchange = _exchange_faults(source, exchange_rounds, seconds)
    for fault in exchange:  # of the very first tick nobody can say whether it is a jump
        if fault["at_s"] < _BEGINNING_S and fault["value"] == "jump":
            fault["value"] = "negative"
    return Plan(seconds, events, exchange)


def _exchange_faults(source: random.Random, rounds: int, seconds: float) -> list[dict[str, Any]]:
    kinds: list[str] = []
    for _ in range(rounds):
        passing = [kind for kind in EXCHANGE_KINDS if kind not in _FOR_GOOD]
        kinds += source.sample(passing, len(passing))
    kinds += _FOR_GOOD  # at last: a venue that gives them is not asked again
    step = (seconds - 12.0) / len(kinds)
    return [
        {
            "kind": kind,
            "at_s": round(4.0 + number * step + source.uniform(0, step / 4), 2),
            "for_s": round(min(6.0, step * 0.7), 2),
            # "region" and "forbidden" are for good: never of the last venue that is left.
            "venue": source.choice(("kraken", "*")) if kind not in _FOR_GOOD else "binance",
            "retry_after_s": 1,
            "delay_s": 1.0,
            "skew_s": source.choice((-90.0, 30.0)),
            "status": source.choice((500, 502, 503)),
            "value": source.choice(_ABSURD),
        }
        for number, kind in enumerate(kinds)
    ]
