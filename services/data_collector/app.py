"""The running collector: joins its group, collects its share, hands it over."""

import asyncio
import gc
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial

from common.clock import Clock, to_micros
from common.health import Check, Health
from common.lifecycle import Deadline
from common.log import get_logger
from common.wire import Tick
from data_collector import metrics
from data_collector.adoption import Adoption
from data_collector.claims import LINGER_S, Claims
from data_collector.delivery import Delivery, Topics
from data_collector.desk import Desk
from data_collector.errors import VenueError
from data_collector.exchanges import Exchange
from data_collector.membership import Membership
from data_collector.parts import (
    join_group,
    limits_of,
    make_poller,
    open_exchanges,
    open_spool,
    producer_of,
)
from data_collector.past import decode_past, read_spool
from data_collector.schedule import Schedule
from data_collector.settings import CollectorSettings
from data_collector.spool import Lease, Spool, SpoolHome
from data_collector.status import Probes, StandbyProbes, describe
from data_collector.validation import Validator

__all__ = ["Collector"]

_WARM_EVERY_S = 10.0
_TEND_EVERY_S = 0.1
_LEAVE_S = 1.5  # of the time to stop, for leaving the group
_LAST_POLLS_S = 3.0  # of the time to stop, for the polls under way

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
        health.role = "standby"
        health.ready = {"start": lambda: Check(ok=False, detail="starting")}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._warm = StandbyProbes(clock)
        topics = Topics(settings.topic_prices, settings.topic_dlq)
        self._delivery = Delivery(partial(producer_of, settings), topics, clock, self._fail)
        join, topic = partial(join_group, settings), settings.topic_prices
        self._membership = Membership(join, topic, settings.symbols, self._hear, clock)
        self._home = SpoolHome(settings.spool_dir)
        self._lease = self._home.claim()
        self._spool = self._open(self._lease)
        self._delivery.add(self._spool)
        parts = (self._lease, self._membership, self._delivery)
        self._claims = Claims(settings, *parts, clock, self._begin)
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
            self._poller = make_poller(settings, exchanges, self._claims, self._desk, clock)
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
        self._show_oneself()
        self._claims.presume_remembered()
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

    def _show_oneself(self) -> None:
        """Let probes, status and metrics answer."""
        self._probes = Probes(
            self._warm,
            self._poller,
            self._desk,
            self._schedule,
            self._membership,
            self._delivery,
            self._clock,
        )
        parts = (self._claims.share, self._membership, self._poller, self._desk, self._delivery)
        self._health.status = partial(describe, self._settings.collector_mode, *parts)
        metrics.SPOOL_RECORDS.set_function(lambda: self._delivery.pending)
        metrics.PENDING.set_function(lambda: self._desk.waiting)
        metrics.SPOOL_BYTES.set_function(lambda: self._delivery.size)

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
        self._in_loop(self._claims.take_word, symbols)

    def _in_loop(self, do: Callable[..., object], *arguments: object) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(do, *arguments)

    def _begin(self, gained: frozenset[str], shared: bool) -> None:
        """Poll for ``gained`` at once; where it is ``shared``, others may have done so."""
        self._show_role()
        if gained and self._schedule.running:
            self._schedule.start_now(self._poller.catch_up if shared else self._poller.poll)

    def _show_role(self) -> None:
        mine = self._claims.collected
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
            self._claims.presume(left, "their collector has ended")
            if not self._membership.started and self._can_collect():
                self._membership.start()
            self._claims.weigh()
            self._show_role()
            await asyncio.sleep(_TEND_EVERY_S)

    def _can_collect(self) -> bool:
        """Return whether an exchange has answered: only then a share may be asked for."""
        return self._warm.check().ok or self._poller.answered_at is not None

    async def _keep_warm(self, exchanges: Iterable[Exchange]) -> None:
        """Keep connections open while standing by, and know which exchange answers."""
        while True:
            if not self._claims.collected:
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
            self._claims.hand_over()
            await asyncio.sleep(LINGER_S if self._claims.collected else 0)
        ended.set()
        return deadline

    def _fail(self) -> None:
        self._failed = True
        self._stop.set()
