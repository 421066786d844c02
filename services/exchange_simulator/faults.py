"""Faults on request: what can go wrong at an exchange, when, and for whom."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from exchange_simulator.errors import FaultScriptError

__all__ = ["ActiveFaults", "Fault", "load_faults", "parse_faults"]

Kind: TypeAlias = Literal[
    "rate_limited",  # 429 with Retry-After
    "banned",  # 418 with Retry-After
    "region",  # 451
    "forbidden",  # 403
    "server_error",  # ``status``, 500 by default
    "reset",  # the connection is reset
    "slow",  # the answer takes ``delay_s`` longer
    "malformed",  # the answer is cut in the middle
    "absurd",  # prices as ``value`` says
    "clock_skew",  # the venue's clock runs ``skew_s`` ahead
    "gap",  # a stream loses what happens, but for its heartbeats
    "stale",  # everything stands still from the fault's start on (also: repeats)
]


class Fault(BaseModel):
    """One fault, from ``at_s`` seconds after the start (or the request) for ``for_s`` seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    at_s: Annotated[float, Field(ge=0)] = 0.0
    for_s: Annotated[float, Field(gt=0)] = 3600.0
    venue: Literal["coinbase", "binance", "kraken", "*"] = "*"
    path: str = ""  # only paths (with their query) that contain it
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    retry_after_s: Annotated[int, Field(ge=0)] = 5
    status: Annotated[int, Field(ge=500, le=599)] = 500
    delay_s: Annotated[float, Field(ge=0, le=120)] = 5.0
    skew_s: float = 30.0
    value: Literal["negative", "zero", "jump", "crossed", "nan"] = "jump"


_FAULTS = TypeAdapter(tuple[Fault, ...])


def parse_faults(data: object, origin: str) -> tuple[Fault, ...]:
    """Return the faults in ``data``, one mapping or a list of them.

    Raises `FaultScriptError` that names each entry that is wrong.
    """
    try:
        return _FAULTS.validate_python([data] if isinstance(data, dict) else data)
    except ValidationError as error:
        found = [
            f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}"
            for each in error.errors(include_url=False)
        ]
        raise FaultScriptError(f"{origin}: wrong faults:\n  " + "\n  ".join(found)) from error


def load_faults(path: Path) -> tuple[Fault, ...]:
    """Return the timeline in the YAML file ``path``; raises `FaultScriptError`."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FaultScriptError(f"FAULTS_FILE {path}: not readable: {error}") from error
    return parse_faults([] if data is None else data, f"FAULTS_FILE {path}")


class ActiveFaults:
    """The faults that were asked for, each with the moment from which its times count."""

    def __init__(self, timeline: Sequence[Fault], now_us: int, seed: int) -> None:
        self._entries = [(now_us, fault) for fault in timeline]
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def add(self, faults: Sequence[Fault], now_us: int) -> None:
        """Let ``faults`` count from ``now_us``; those that are over are forgotten."""
        self._entries = [e for e in self._entries if now_us < self._end(*e)]
        self._entries += [(now_us, fault) for fault in faults]

    def clear(self) -> None:
        """Forget every fault."""
        self._entries = []

    def describe(self, now_us: int) -> list[dict[str, object]]:
        """Return the faults that are going on or still to come."""
        return [
            {**fault.model_dump(), "active": self._start(origin, fault) <= now_us}
            for origin, fault in self._entries
            if now_us < self._end(origin, fault)
        ]

    def match(self, venue: str, path: str, now_us: int) -> list[tuple[int, Fault]]:
        """Return (start in microseconds, fault) for each that strikes this request."""
        return [
            (self._start(origin, fault), fault)
            for origin, fault in self._entries
            if self._start(origin, fault) <= now_us < self._end(origin, fault)
            and fault.venue in ("*", venue)
            and fault.path in path
            and (fault.probability >= 1 or self._random.random() < fault.probability)
        ]

    @staticmethod
    def _start(origin: int, fault: Fault) -> int:
        return origin + int(fault.at_s * 1e6)

    @classmethod
    def _end(cls, origin: int, fault: Fault) -> int:
        return cls._start(origin, fault) + int(fault.for_s * 1e6)
