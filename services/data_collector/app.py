"""The running collector: joins its group, collects its share, hands it over."""

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial

from common.clock import Clock, to_micros
from common.health import Check, Health
from common.lifecycle import Deadline
from common.log import get_logger
from common.wire import Tick
from data_collector import metrics
from data_collector.adoption import Adoption
from data_collector.delivery import Delivery, Topics
from data_collector.desk import Desk
from data_collector.errors import VenueError
from data_collector.membership import Membership
from data_collector.parts import join_group, limits_of, open_exchanges, open_spool, producer_of
from data_collector.past import decode_past, read_spool
from data_collector.poller import Exchange, Poller, Times
from data_collector.schedule import Schedule
from data_collector.settings import CollectorSettings
from data_collector.share import Share
from data_collector.spool import Lease, Spool, SpoolHome
from data_collector.status import Probes, StandbyProbes, describe
from data_collector.validation import Validator

__all__ = ["Collector"]

_WARM_EVERY_S = 10.0
_TEND_EVERY_S = 0.1
_LEAVE_S = 1.5  # of the time to stop, for leaving the group
_LAST_POLLS_S = 3.0  # of the time to stop, for the polls under way
# A symbol that is given up is collected for so long on: its new owner hears of it at its next
# heartbeat, and a hand-over takes at most 2 s.
_LINGER_S = 1.5
# Without a word from a group that cannot be joined: better collected twice than not at all.
_PATIENCE_S = 5.0
# What an ended process collected is ours until the group has missed it, and for so long more.
_PRESUMED_S = 4.0

_log = get_logger(__name__)


class Collector:
    """One process's life; `run` returns the exit code."""

    def __init__(
        self, settings: CollectorSettings, health: Health, clock: Clock, stop: threading.Event
    ) -> None:
        """Open the spool; raises `SpoolError`."""
        self._settings = settings
        self._health = health
        self._clock = clock
        self._stop = stop
        self._failed = False
        self._since = clock.monotonic()  # when the group's word was awaited
        self._word: frozenset[str] | None = None
        health.role = "standby"
        health.ready = {"start": lambda: Check(ok=False, detail="starting")}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._warm = StandbyProbes(clock)
        self._share = Share(settings.symbols, _LINGER_S)
        topics = Topics(settings.topic_prices, settings.topic_dlq)
        self._delivery = Delivery(partial(producer_of, settings), topics, clock, self._fail)
        join, topic = partial(join_group, settings), settings.topic_prices
        self._membership = Membership(join, topic, settings.symbols, self._hear, clock)
        self._home = SpoolHome(settings.spool_dir)
        self._lease = self._home.claim()
        self._spool = self._open(self._lease)
        self._delivery.add(self._spool)
        validator = Validator(limits_of(settings))
        self._desk = Desk(self._spool, validator, settings.feed, clock, self._delivery.wake)

    async def run(self) -> int:
        """Collect this replica's share until the stop, then hand over."""
        settings, clock = self._settings, self._clock
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            stack.callback(self._lease.release)
            stack.callback(self._spool.close)
            stack.callback(self._stop.set)  # lets the waiting threads end, whatever happens
            exchanges = open_exchanges(settings, clock, stack)
            self._poller = self._make_poller(exchanges)
            interval_us = round(settings.poll_interval_s * 1e6)
            self._schedule = Schedule(
                interval_us, settings.max_polls_in_flight, clock, self._poller.poll
            )
            self._adoption = Adoption(self._home, self._open, self._adopt, self._delivery)
            stack.callback(self._adoption.close)
            await self._collect(exchanges)
        return 1 if self._failed else 0

    async def _collect(self, exchanges: Iterable[Exchange]) -> None:
        last = self._learn(await asyncio.to_thread(read_spool, self._spool))
        self._probes = Probes(
            self._warm,
            self._poller,
            self._desk,
            self._schedule,
            self._membership,
            self._delivery,
            self._clock,
        )
        parts = (self._share, self._membership, self._poller, self._desk, self._delivery)
        self._health.status = partial(describe, *parts)
        metrics.SPOOL_RECORDS.set_function(lambda: self._delivery.pending)
        metrics.PENDING.set_function(lambda: self._desk.waiting)
        metrics.SPOOL_BYTES.set_function(lambda: self._delivery.size)
        self._presume(self._lease.remembered, "they were collected from this spool before")
        self._show_role()
        self._delivery.start()
        helpers = [asyncio.create_task(each) for each in (self._tend(), self._keep_warm(exchanges))]
        ended = asyncio.Event()
        retiring = asyncio.create_task(self._retire(ended))
        _log.info("started", spool=self._lease.directory, left=self._spool.pending)
        gc.collect()
        gc.freeze()  # what is there by now stays: no pause to look through it when a poll is due
        await self._schedule.run(last, ended)
        deadline = await retiring
        await self._schedule.drain(min(_LAST_POLLS_S, deadline.remaining()))
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await self._poller.close()
        await self._desk.close()
        await asyncio.to_thread(self._delivery.stop, deadline)
        _log.info("stopped", undelivered=self._delivery.pending)
        metrics.ACTIVE.set(0)

    def _make_poller(self, exchanges: Iterable[Exchange]) -> Poller:
        settings = self._settings
        retry_until_s = 0.7 * settings.poll_interval_s  # the answer still belongs to this second
        times = Times(settings.request_timeout_s, settings.poll_deadline_s, retry_until_s)
        desk, share, clock = self._desk, self._share, self._clock
        return Poller(
            tuple(exchanges),
            lambda: share.owned,
            lambda: share.lingering(clock.monotonic()),
            times,
            clock,
            desk.accept,
            desk.reject,
            desk.flush,
        )

    def _mine(self) -> frozenset[str]:
        return self._share.at(self._clock.monotonic())

    def _open(self, lease: Lease) -> Spool:
        return open_spool(self._settings, lease, self._clock)

    def _learn(self, past: Iterable[Tick]) -> int:
        """Know what was collected, so that it is not collected again; return the newest, or -1."""
        collected = self._desk.learn(past)
        self._poller.note(collected)
        return max(collected.values(), default=-1)

    def _adopt(self, spool: Spool) -> None:
        """Learn what a left spool has, from another thread."""
        self._in_loop(self._learn, read_spool(spool))

    def _hear(self, symbols: frozenset[str], last: Sequence[bytes]) -> None:
        """Take the group's word, from its thread; ``last`` is what was published of them before."""
        now = to_micros(self._clock.now())  # a tick from the future would refuse all others
        past = [tick for tick in decode_past(last) if tick.sequence <= now]
        self._in_loop(self._learn, past)
        self._in_loop(self._take_word, symbols)

    def _in_loop(self, do: Callable[..., object], *arguments: object) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(do, *arguments)

    def _take_word(self, symbols: frozenset[str]) -> None:
        metrics.ASSIGNMENTS.inc()
        self._word = symbols
        # Where there are others, one of them may have asked for this second already.
        poll = self._poller.poll if self._membership.alone else self._poller.catch_up
        self._begin(self._share.assign(symbols, self._clock.monotonic()), poll)

    def _presume(self, symbols: frozenset[str], why: str) -> None:
        gained = self._share.presume(symbols)
        if gained:
            self._since = self._clock.monotonic()
            _log.info("collecting until the group decides", symbols=sorted(gained), because=why)
            self._begin(gained, self._poller.poll)

    def _begin(self, gained: frozenset[str], poll: Callable[[int], Awaitable[None]]) -> None:
        """Poll for ``gained`` at once, and remember what is ours for a successor."""
        self._remember(self._share.owned)
        self._show_role()
        if gained and self._schedule.running:
            self._schedule.start_now(poll)

    def _remember(self, symbols: Iterable[str]) -> None:
        try:
            self._lease.remember(symbols)
        except OSError as error:
            _log.warning("cannot note whose symbols these are", why=error.strerror)

    def _show_role(self) -> None:
        mine = self._mine()
        role = "active" if mine else "standby"
        metrics.ACTIVE.set(bool(mine))
        metrics.SYMBOLS.set(len(mine))
        if self._health.role != role or "start" in self._health.ready:
            self._probes.install(self._health, active=bool(mine))
            _log.info("collecting" if mine else "standing by", symbols=sorted(mine))

    async def _tend(self) -> None:
        """Look after what ended processes left, and after what was only presumed."""
        while True:
            left = await asyncio.to_thread(self._adoption.look)
            self._presume(left, "their collector has ended")
            if not self._membership.started and self._can_collect():
                self._membership.start()
            self._weigh()
            self._show_role()
            await asyncio.sleep(_TEND_EVERY_S)

    def _weigh(self) -> None:
        """Presume more where no word can be had; end what was presumed where none came."""
        waited = self._clock.monotonic() - self._since
        if self._word is None:
            hopeless = not self._delivery.reachable or self._membership.last_error
            if waited > _PATIENCE_S and hopeless:
                self._presume(frozenset(self._settings.symbols), "the group cannot be joined")
            return
        over = waited > self._settings.collector_session_s + _PRESUMED_S
        if self._share.presumed and self._delivery.reachable and over:
            self._take_word(self._word)

    def _can_collect(self) -> bool:
        """Return whether an exchange has answered: only then a share may be asked for."""
        return self._warm.check().ok or self._poller.answered_at is not None

    async def _keep_warm(self, exchanges: Iterable[Exchange]) -> None:
        """Keep connections open while standing by, and know which exchange answers."""
        while True:
            if not self._mine():
                await asyncio.gather(*(self._warm_up(exchange) for exchange in exchanges))
            await asyncio.sleep(_WARM_EVERY_S)

    async def _warm_up(self, exchange: Exchange) -> None:
        name = exchange.client.name
        try:
            await exchange.client.warm(self._settings.poll_deadline_s)
            self._warm.answered(name)
        except VenueError as error:
            self._warm.failed(name, str(error))

    async def _retire(self, ended: asyncio.Event) -> Deadline:
        """Wait for the stop, hand over, and set ``ended`` once the others have begun."""
        await asyncio.to_thread(self._stop.wait)
        deadline = Deadline(self._clock)
        membership = self._membership
        heirs = membership.joined and not membership.alone and self._delivery.reachable
        await asyncio.to_thread(membership.leave, Deadline(self._clock, _LEAVE_S))
        if heirs and not self._failed:
            self._remember(())
            self._share.hand_over(self._clock.monotonic())
            await asyncio.sleep(_LINGER_S if self._mine() else 0)
        ended.set()
        return deadline

    def _fail(self) -> None:
        self._failed = True
        self._stop.set()
