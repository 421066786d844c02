import asyncio
import time
from datetime import datetime, timedelta

from structlog.testing import capture_logs

from common.clock import SystemClock, to_micros
from data_collector import metrics
from data_collector.schedule import Schedule

INTERVAL_US = 50_000


def run(schedule: Schedule, last: int, duration_s: float) -> None:
    async def main() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(duration_s, stop.set)
        await schedule.run(last, stop)
        await schedule.drain(5)

    asyncio.run(main())


def make(poll_s: float, polled: list[tuple[int, int]], most: int = 100) -> Schedule:
    clock = SystemClock()

    async def poll(sequence: int) -> None:
        polled.append((sequence, to_micros(clock.now())))
        await asyncio.sleep(poll_s)

    return Schedule(INTERVAL_US, most, clock, poll)


def test_each_slot_once_and_slow_polls_delay_nothing() -> None:
    polled: list[tuple[int, int]] = []
    run(make(poll_s=0.4, polled=polled), last=-1, duration_s=1.02)
    sequences = [sequence for sequence, _ in polled]
    assert all(sequence % INTERVAL_US == 0 for sequence in sequences)
    assert sequences == list(range(sequences[0], sequences[-1] + 1, INTERVAL_US))
    assert len(sequences) >= 20
    lateness = sorted(at - sequence for sequence, at in polled[1:])
    assert lateness[0] >= 0
    assert lateness[len(lateness) // 2] < 20_000


def test_the_present_slot_is_not_polled_twice() -> None:
    now = to_micros(SystemClock().now())
    taken = now - now % INTERVAL_US + 4 * INTERVAL_US
    polled: list[tuple[int, int]] = []
    run(make(0, polled), last=taken, duration_s=0.4)
    assert polled[0][0] == taken + INTERVAL_US


def test_polls_under_way_are_given_up_at_the_deadline() -> None:
    polled: list[tuple[int, int]] = []
    schedule = make(poll_s=30, polled=polled)

    async def main() -> float:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, stop.set)
        await schedule.run(-1, stop)
        started = time.monotonic()
        await schedule.drain(0.1)
        return time.monotonic() - started

    assert asyncio.run(main()) < 2
    assert polled


class SteppingClock(SystemClock):
    """Falls back by an hour after a while."""

    def __init__(self) -> None:
        self._step_at = time.monotonic() + 0.3

    def now(self) -> datetime:
        stepped = time.monotonic() > self._step_at
        return super().now() - timedelta(hours=1 if stepped else 0)


def test_a_wall_clock_that_is_set_back_does_not_stop_the_polls() -> None:
    sequences: list[int] = []

    async def poll(sequence: int) -> None:
        sequences.append(sequence)

    with capture_logs() as logs:
        run(Schedule(INTERVAL_US, 10, SteppingClock(), poll), -1, 1.5)
    assert len(sequences) >= 12
    assert sequences == list(range(sequences[0], sequences[-1] + 1, INTERVAL_US))
    assert any("wall clock" in entry["event"] for entry in logs)


def test_polls_in_flight_are_bounded_and_the_rest_is_counted() -> None:
    left_out = metrics.MISSED_POLLS.labels("in_flight")
    before = left_out._value.get()
    polled: list[tuple[int, int]] = []
    run(make(10.0 / 10, polled, most=3), last=-1, duration_s=0.5)
    assert len(polled) == 3
    assert left_out._value.get() - before >= 5


def test_a_poll_that_breaks_does_not_end_the_others() -> None:
    calls = []

    async def poll(sequence: int) -> None:
        calls.append(sequence)
        raise RuntimeError("broken")

    with capture_logs() as logs:
        run(Schedule(INTERVAL_US, 10, SystemClock(), poll), -1, 0.3)
    assert len(calls) >= 5
    assert {entry["event"] for entry in logs} == {"poll failed"}
