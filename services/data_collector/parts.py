"""The parts of a collector, made as its settings say."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from common.clock import Clock
from common.kafka import make_consumer, make_producer
from common.log import get_logger
from data_collector import metrics
from data_collector.breaker import Breaker
from data_collector.claims import Claims
from data_collector.desk import Desk
from data_collector.exchanges import Exchange, VenueClient
from data_collector.membership import GROUP_OPTIONS, SharingAssignor
from data_collector.poller import Poller, Times
from data_collector.rest import RestVenue, make_client
from data_collector.settings import CollectorSettings
from data_collector.spool import Lease, Spool, SpoolOptions
from data_collector.stream import StreamVenue
from data_collector.validation import Limits
from data_collector.venues import ADAPTERS
from data_collector.venues.streams import STREAMS

__all__ = [
    "join_group",
    "limits_of",
    "make_poller",
    "open_exchanges",
    "open_spool",
    "producer_of",
]

_log = get_logger(__name__)
_FOREVER_MS = 24 * 3600 * 1000
# A broker that is back is found within a second or two, not after the client's default of 30.
_RECONNECT = {"bootstrap_timeout_ms": 3_000, "reconnect_backoff_max_ms": 1_000}


def open_exchanges(
    settings: CollectorSettings, clock: Clock, stack: AsyncExitStack
) -> list[Exchange]:
    """Return the exchanges in their order; ``stack`` closes their connections."""
    for name in set(settings.exchanges) - set(settings.usable_exchanges):
        why = f"it does not allow {len(settings.symbols)} symbols at this rate"
        _log.warning("exchange left out", venue=name, why=why, instead="collector_mode=stream")
    for name in settings.usable_exchanges:
        for symbol in settings.symbols:
            metrics.TICKS.labels(symbol, name)  # from 0 on: none at all can be seen too
    open_ = _open_stream if settings.collector_mode == "stream" else _open_rest
    return [
        Exchange(open_(name, settings, clock, stack), Breaker(name, clock, random.Random()))  # noqa: S311
        for name in settings.usable_exchanges
    ]


def _open_rest(
    name: str, settings: CollectorSettings, clock: Clock, stack: AsyncExitStack
) -> VenueClient:
    key = settings.credentials(name, clock)
    client = make_client(settings.rest_url(name), settings.poll_deadline_s, key)
    venue = RestVenue(ADAPTERS[name], client, settings.plan(name) or (), clock)
    stack.push_async_callback(venue.close)
    return venue


def _open_stream(
    name: str, settings: CollectorSettings, clock: Clock, stack: AsyncExitStack
) -> VenueClient:
    """Connect to the stream at once: also the ones that only stand by for a failover."""
    url, silence_s = settings.ws_url(name), settings.stream_silence_s
    venue = StreamVenue(STREAMS[name], url, settings.symbols, silence_s, clock)
    task = asyncio.create_task(venue.run())
    stack.push_async_callback(_cancel, task)
    return venue


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def make_poller(
    settings: CollectorSettings,
    exchanges: Sequence[Exchange],
    claims: Claims,
    desk: Desk,
    clock: Clock,
) -> Poller:
    """Return what asks ``exchanges`` for what is claimed, and hands it to ``desk``."""
    retry_until_s = 0.7 * settings.poll_interval_s  # the answer still belongs to this second
    return Poller(
        exchanges,
        lambda: claims.owned,
        lambda: claims.lingering,
        Times(settings.request_timeout_s, settings.poll_deadline_s, retry_until_s),
        clock,
        desk.accept,
        desk.reject,
        desk.flush,
    )


def producer_of(settings: CollectorSettings) -> Any:
    """Return a producer that never gives up a record by itself; raises `KafkaError`."""
    return make_producer(
        settings.kafka_bootstrap_servers,
        f"{settings.service_name}-{settings.slot}",
        delivery_timeout_ms=_FOREVER_MS,  # the spool bounds it, order is kept
        max_block_ms=2_000,
        batch_size=1 << 16,  # what a window sends at once goes into one for each partition
        allow_auto_create_topics=False,
        **_RECONNECT,
    )


def join_group(settings: CollectorSettings, assignor: SharingAssignor) -> Any:
    """Return a consumer that takes part in the group; raises `KafkaError`."""
    return make_consumer(
        settings.kafka_bootstrap_servers,
        f"{settings.service_name}-{settings.slot}",
        group_id=settings.collector_group,
        partition_assignment_strategy=[assignor],
        session_timeout_ms=round(settings.collector_session_s * 1000),
        request_timeout_ms=round(settings.collector_session_s * 2000),
        **GROUP_OPTIONS,
        **_RECONNECT,
    )


def open_spool(settings: CollectorSettings, lease: Lease, clock: Clock) -> Spool:
    """Return the spool in the directory of ``lease``; raises `SpoolError`."""
    options = SpoolOptions(
        directory=lease.directory,
        max_bytes=settings.spool_max_bytes,
        segment_bytes=settings.spool_segment_bytes,
        fsync=settings.spool_fsync,
        fsync_interval_s=settings.spool_fsync_interval_s,
    )
    return Spool(options, clock)


def limits_of(settings: CollectorSettings) -> Limits:
    """Return what the validation refuses."""
    return Limits(
        late_s=settings.poll_deadline_s + 1.0,  # whenever the answer of a poll can still come
        stale_after_s=settings.stale_after_s,
        max_ahead_s=settings.max_ahead_s,
        jump_sigmas=settings.jump_sigmas,
        jump_floor=settings.jump_floor,
        jump_confirmations=settings.jump_confirmations,
    )
