"""The running collector: stands by, takes over, collects, hands over."""

import asyncio
import random
import threading
from collections.abc import Sequence
from contextlib import AsyncExitStack

from common.clock import Clock
from common.errors import ConfigurationError
from common.health import Health
from common.kafka import make_producer
from common.leader import LeaderLock
from common.lifecycle import Deadline
from common.log import get_logger
from data_collector import metrics
from data_collector.breaker import Breaker
from data_collector.delivery import Delivery, Topics
from data_collector.desk import Desk
from data_collector.errors import VenueError
from data_collector.poller import Exchange, Poller, Times, VenueClient
from data_collector.rest import RestVenue, make_client
from data_collector.schedule import Schedule
from data_collector.settings import CollectorSettings
from data_collector.spool import Spool, SpoolOptions
from data_collector.status import StandbyProbes, active_probes, describe, standby_probes
from data_collector.stream import StreamVenue
from data_collector.validation import Limits, Validator
from data_collector.venues import ADAPTERS
from data_collector.venues.streams import STREAMS

__all__ = ["Collector"]

_WARM_EVERY_S = 10.0
_LAST_POLLS_S = 3.0  # of the time to stop, for the polls under way
_FOREVER_MS = 24 * 3600 * 1000

_log = get_logger(__name__)


class Collector:
    """One process's life; `run` returns the exit code."""

    def __init__(
        self, settings: CollectorSettings, health: Health, clock: Clock, stop: threading.Event
    ) -> None:
        self._settings = settings
        self._health = health
        self._clock = clock
        self._stop = stop
        self._failed = False
        topics = Topics(settings.topic_prices, settings.topic_dlq)
        self._delivery = Delivery(self._make_producer, topics, clock, self._fail)
        self._probes = StandbyProbes(clock)

    async def run(self) -> int:
        """Warm up, wait for the lock, collect until the stop, hand over."""
        self._health.role = "standby"
        metrics.ACTIVE.set(0)
        standby_probes(self._health, self._probes, self._delivery, self._clock)
        self._delivery.start()
        stopping = asyncio.Event()
        async with AsyncExitStack() as stack:
            stack.callback(self._stop.set)  # lets the waiting threads end, whatever happens
            lock = _open_lock(self._settings)
            stack.callback(lock.close)
            exchanges = self._open_exchanges(stack)
            watcher = asyncio.create_task(self._watch_stop(stopping))
            warmer = asyncio.create_task(self._keep_warm(exchanges))
            acquired = await asyncio.to_thread(lock.acquire, self._stop)
            warmer.cancel()
            if acquired:
                await self._collect(exchanges, stopping)
            else:
                await asyncio.to_thread(self._delivery.stop, Deadline(self._clock, 1.0))
            await asyncio.gather(watcher, warmer, return_exceptions=True)
        return 1 if self._failed else 0

    async def _collect(self, exchanges: Sequence[Exchange], stopping: asyncio.Event) -> None:
        """Be the active one; everything that touches the spool is in here."""
        settings = self._settings
        spool = Spool(_spool_options(settings), self._clock)
        validator = Validator(_limits(settings))
        desk = Desk(spool, validator, settings.feed, self._clock, self._delivery.wake)
        last = await asyncio.to_thread(desk.resume)
        retry_until_s = 0.7 * settings.poll_interval_s  # the answer still belongs to this second
        times = Times(settings.request_timeout_s, settings.poll_deadline_s, retry_until_s)
        poller = Poller(exchanges, settings.symbols, times, self._clock, desk.accept, desk.reject)
        interval_us = round(settings.poll_interval_s * 1e6)
        schedule = Schedule(interval_us, settings.max_polls_in_flight, self._clock, poller.poll)
        active_probes(self._health, poller, desk, schedule, self._delivery, self._clock)
        self._health.status = lambda: describe(poller, desk, spool, self._delivery)
        self._health.role = "active"
        metrics.ACTIVE.set(1)
        _log.info(
            "collecting", symbols=settings.symbols, exchanges=settings.exchanges, left=spool.pending
        )
        self._delivery.begin(spool)
        await schedule.run(last, stopping)
        deadline = Deadline(self._clock)
        await schedule.drain(min(_LAST_POLLS_S, deadline.remaining()))
        await poller.close()
        await desk.close()
        await asyncio.to_thread(self._delivery.stop, deadline)
        _log.info("stopped", undelivered=spool.pending)
        spool.close()
        metrics.ACTIVE.set(0)

    def _open_exchanges(self, stack: AsyncExitStack) -> list[Exchange]:
        open_ = self._open_stream if self._settings.collector_mode == "stream" else self._open_rest
        return [
            Exchange(open_(name, stack), Breaker(name, self._clock, random.Random()))  # noqa: S311
            for name in self._settings.exchanges
        ]

    def _open_rest(self, name: str, stack: AsyncExitStack) -> VenueClient:
        client = make_client(self._settings.rest_url(name), self._settings.poll_deadline_s)
        plan = self._settings.plan(name) or ()
        venue = RestVenue(ADAPTERS[name], client, plan, self._clock)
        stack.push_async_callback(venue.close)
        return venue

    def _open_stream(self, name: str, stack: AsyncExitStack) -> VenueClient:
        """Connect to the stream at once: also the ones that only stand by for a failover."""
        settings = self._settings
        venue = StreamVenue(
            STREAMS[name],
            settings.ws_url(name),
            settings.symbols,
            settings.stream_silence_s,
            self._clock,
        )
        task = asyncio.create_task(venue.run())
        stack.push_async_callback(_cancel, task)
        return venue

    async def _keep_warm(self, exchanges: Sequence[Exchange]) -> None:
        """Keep connections open while standing by, and know which exchange answers."""
        while True:
            await asyncio.gather(*(self._warm(exchange) for exchange in exchanges))
            await asyncio.sleep(_WARM_EVERY_S)

    async def _warm(self, exchange: Exchange) -> None:
        name = exchange.client.name
        try:
            await exchange.client.warm(self._settings.poll_deadline_s)
            self._probes.answered(name)
        except VenueError as error:
            self._probes.failed(name, str(error))

    async def _watch_stop(self, stopping: asyncio.Event) -> None:
        await asyncio.to_thread(self._stop.wait)
        stopping.set()

    def _make_producer(self) -> object:
        return make_producer(
            self._settings.kafka_bootstrap_servers,
            f"{self._settings.service_name}-{self._settings.slot}",
            delivery_timeout_ms=_FOREVER_MS,  # the spool bounds it, order is kept
            bootstrap_timeout_ms=3_000,
            max_block_ms=2_000,
            reconnect_backoff_max_ms=1_000,
            allow_auto_create_topics=False,
        )

    def _fail(self) -> None:
        self._failed = True
        self._stop.set()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _open_lock(settings: CollectorSettings) -> LeaderLock:
    try:
        return LeaderLock(settings.leader_lock_file)
    except OSError as error:
        message = f"LEADER_LOCK_FILE {settings.leader_lock_file}: {error.strerror}"
        raise ConfigurationError(message) from error


def _spool_options(settings: CollectorSettings) -> SpoolOptions:
    return SpoolOptions(
        directory=settings.spool_dir,
        max_bytes=settings.spool_max_bytes,
        segment_bytes=settings.spool_segment_bytes,
        fsync=settings.spool_fsync,
        fsync_interval_s=settings.spool_fsync_interval_s,
    )


def _limits(settings: CollectorSettings) -> Limits:
    return Limits(
        stale_after_s=settings.stale_after_s,
        max_ahead_s=settings.max_ahead_s,
        jump_sigmas=settings.jump_sigmas,
        jump_floor=settings.jump_floor,
        jump_confirmations=settings.jump_confirmations,
    )
