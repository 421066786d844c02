"""What was accepted before, here or elsewhere: the next tick is judged by it."""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from kafka import TopicPartition

from common.clock import Clock
from common.errors import InvalidMessageError
from common.lifecycle import Deadline
from common.wire import Tick, decode
from data_collector.spool import Kind, Spool

__all__ = ["decode_past", "read_spool", "read_tail"]

_EACH = 100  # ticks of a symbol: the volatility has forgotten what is older
_TAIL = 500  # messages of a partition, of whatever symbols


def decode_past(payloads: Iterable[bytes]) -> list[Tick]:
    """Return the last ticks of each symbol, oldest first; what is no tick is left out."""
    found: dict[str, deque[Tick]] = {}
    for payload in payloads:
        try:
            tick = decode(payload, Tick)
        except InvalidMessageError:
            continue  # written by a newer version, or not by us; consumers will judge it
        found.setdefault(tick.symbol, deque(maxlen=_EACH)).append(tick)
    return [tick for ticks in found.values() for tick in ticks]


def read_spool(spool: Spool) -> list[Tick]:
    """Return the last ticks of each symbol in ``spool``, whether acknowledged or not."""
    return decode_past(entry.value for entry in spool.newest() if entry.kind is Kind.TICK)


def read_tail(
    consumer: Any, places: Collection[TopicPartition], seconds: float, clock: Clock
) -> Sequence[bytes]:
    """Return the last messages of ``places``, which are assigned to ``consumer`` and paused.

    After ``seconds`` there are fewer, or none; raises `KafkaError`. Leaves everything paused.
    """
    try:
        return _read_tail(consumer, places, Deadline(clock, seconds))
    finally:
        consumer.pause(*consumer.assignment())


def _read_tail(
    consumer: Any, places: Collection[TopicPartition], deadline: Deadline
) -> Sequence[bytes]:
    found: list[bytes] = []
    ends = consumer.end_offsets(places, timeout_ms=_ms(deadline))
    firsts = consumer.beginning_offsets(places, timeout_ms=_ms(deadline))
    left = {place: end for place, end in ends.items() if end > firsts[place]}
    for place, end in left.items():
        consumer.seek(place, max(firsts[place], end - _TAIL))
        consumer.resume(place)
    while left and deadline.remaining() > 0:
        for place, records in consumer.poll(timeout_ms=_ms(deadline)).items():
            found += [record.value for record in records if record.value is not None]
            if records[-1].offset + 1 >= left.get(place, 0):
                left.pop(place, None)
    return found


def _ms(deadline: Deadline) -> int:
    return max(1, round(deadline.remaining() * 1000))
