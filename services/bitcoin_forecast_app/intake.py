"""From records to ticks, with what is no tick set aside for the dead-letter topic."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bitcoin_forecast_app.metrics import Metrics
from bitcoin_forecast_app.stream import Message
from common.clock import Clock
from common.errors import InvalidMessageError
from common.wire import DeadLetter, Tick, decode, encode

__all__ = ["Intake", "Taken"]

_RATE_PER_S = 1.0
_BURST = 100.0
_MAX_PAYLOAD = 4_096  # characters of the refused message that are kept


@dataclass(frozen=True)
class Taken:
    """What a batch of records held; ``offsets`` are the next ones by partition."""

    ticks: list[Tick] = field(default_factory=list)
    dead_letters: list[Message] = field(default_factory=list)
    offsets: dict[int, int] = field(default_factory=dict)


class Intake:
    """Decodes records; dead letters are limited to a burst of 100, then one a second.

    A record that is a valid tick and yet cannot be stored can be condemned: it is refused when it
    comes again.
    """

    def __init__(self, topic_dlq: str, clock: Clock, metrics: Metrics) -> None:
        self._topic = topic_dlq
        self._clock = clock
        self._metrics = metrics
        self._tokens = _BURST
        self._refilled = clock.monotonic()
        self._condemned: dict[tuple[int, int], str] = {}

    def condemn(self, record: Any, reason: str) -> None:
        """Refuse ``record`` from now on, because of ``reason``."""
        self._condemned[(record.partition, record.offset)] = reason

    def take(self, records: Iterable[Any]) -> Taken:
        """Decode ``records``; what is refused beyond the limit is counted only."""
        taken = Taken()
        for record in records:
            taken.offsets[record.partition] = record.offset + 1
            try:
                taken.ticks.append(self._read(record))
            except InvalidMessageError as error:
                self._metrics.invalid.inc()
                if self._allowed():
                    taken.dead_letters.append(self._letter(record, error))
        return taken

    def _read(self, record: Any) -> Tick:
        reason = self._condemned.pop((record.partition, record.offset), None)
        if reason is not None:
            raise InvalidMessageError(reason)
        return decode(record.value or b"", Tick)

    def _allowed(self) -> bool:
        now = self._clock.monotonic()
        self._tokens = min(_BURST, self._tokens + _RATE_PER_S * (now - self._refilled))
        self._refilled = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _letter(self, record: Any, error: InvalidMessageError) -> Message:
        letter = DeadLetter(
            reason="invalid-tick",
            detail=str(error),
            origin=f"{record.topic}/{record.partition}/{record.offset}",
            received_time=self._clock.now(),
            payload=(record.value or b"").decode("utf-8", "replace")[:_MAX_PAYLOAD],
        )
        self._metrics.dead_letters.inc()
        return Message(self._topic, record.key or b"", encode(letter))
