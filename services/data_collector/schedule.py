"""Polls on the second: a grid on the wall clock, so nothing drifts and replicas agree."""

import asyncio
from collections.abc import Awaitable, Callable

from common.clock import Clock, to_micros
from common.log import get_logger
from data_collector import metrics

__all__ = ["Schedule"]

_BEAT_S = 1.0  # the longest sleep at once, so that liveness is seen and clock steps are noticed
_GRACE_S = 0.05

_log = get_logger(__name__)


class Schedule:
    """Starts ``poll(sequence)`` at each multiple of ``interval_us``; never waits for one."""

    def __init__(
        self,
        interval_us: int,
        most_in_flight: int,
        clock: Clock,
        poll: Callable[[int], Awaitable[None]],
    ) -> None:
        self._interval = interval_us
        self._most = most_in_flight
        self._clock = clock
        self._poll = poll
        self._running: set[asyncio.Task[None]] = set()
        self.running = False
        self.beat_at = clock.monotonic()

    async def run(self, last_sequence: int, stop: asyncio.Event) -> None:
        """Poll until ``stop``; then return at once, see `drain`.

        The first poll is at once, for the present slot, unless ``last_sequence`` has it.
        """
        slot = max(self._slot_of_now(), last_sequence + self._interval)
        first = slot = slot - slot % self._interval
        self.running = True
        while not stop.is_set():
            await self._sleep_until(slot, stop)
            if stop.is_set():
                break
            slot = self._skip_missed(slot)
            if slot > first:  # the first is late on purpose
                lateness = to_micros(self._clock.now()) - slot
                metrics.POLL_LATENESS.observe(max(0.0, lateness / 1e6))
            self._start(slot, self._poll)
            slot += self._interval
        self.running = False

    def start_now(self, poll: Callable[[int], Awaitable[None]]) -> None:
        """Start ``poll`` for the present slot at once, within the same bounds."""
        self._start(self._slot_of_now(), poll)

    async def drain(self, timeout_s: float) -> None:
        """Let the polls under way end within ``timeout_s``; give up the others."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=timeout_s)
            for poll in late:
                poll.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _slot_of_now(self) -> int:
        now = to_micros(self._clock.now())
        return now - now % self._interval

    async def _sleep_until(self, slot: int, stop: asyncio.Event) -> None:
        """Return at ``slot``, or an interval from now if the wall clock was set back meanwhile."""
        patience = self._clock.monotonic() + self._interval / 1e6 + _GRACE_S
        while not stop.is_set():
            self.beat_at = self._clock.monotonic()
            delay = (slot - to_micros(self._clock.now())) / 1e6
            if delay <= 0:
                return
            if self.beat_at >= patience:
                _log.warning("the wall clock is behind the last poll, polling on", sequence=slot)
                return
            try:
                async with asyncio.timeout(min(delay, _BEAT_S, patience - self.beat_at)):
                    await stop.wait()
            except TimeoutError:
                continue

    def _skip_missed(self, slot: int) -> int:
        """Return the slot of now; those before were missed while the process did not run."""
        present = self._slot_of_now()
        missed = (present - slot) // self._interval
        if missed > 0:
            metrics.MISSED_POLLS.labels("not_running").inc(missed)
            _log.warning("polls missed, the process did not run", polls=missed, first=slot)
        return max(slot, present)

    def _start(self, slot: int, poll: Callable[[int], Awaitable[None]]) -> None:
        if len(self._running) >= self._most:
            metrics.MISSED_POLLS.labels("in_flight").inc()
            _log.warning("poll left out, too many wait for an answer", sequence=slot)
            return
        task = asyncio.create_task(self._guard(slot, poll))
        self._running.add(task)
        metrics.POLLS_IN_FLIGHT.set(len(self._running))
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        metrics.POLLS_IN_FLIGHT.set(len(self._running))

    async def _guard(self, slot: int, poll: Callable[[int], Awaitable[None]]) -> None:
        try:
            await poll(slot)
        except Exception:  # noqa: BLE001 - the loop's edge: one poll must not end the others
            metrics.MISSED_POLLS.labels("error").inc()
            _log.exception("poll failed", sequence=slot)
