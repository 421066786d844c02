"""The service: everything is made here, then it waits as standby and works as the active one."""

import gc
import logging
import threading
from collections.abc import Callable
from functools import partial

from kafka.errors import KafkaError
from sqlalchemy import Engine as Database
from sqlalchemy.exc import SQLAlchemyError

from bitcoin_forecast_app.broker_watch import BrokerWatch
from bitcoin_forecast_app.checkpoint import Checkpoint
from bitcoin_forecast_app.metrics import Metrics
from bitcoin_forecast_app.registry import Registry
from bitcoin_forecast_app.settings import ForecastSettings
from bitcoin_forecast_app.showcase import Showcase
from bitcoin_forecast_app.status import describe, make_health
from bitcoin_forecast_app.stream import Publisher, TickSource
from bitcoin_forecast_app.supervision import Supervision
from bitcoin_forecast_app.training import Trainer
from bitcoin_forecast_app.vitals import Vitals
from bitcoin_forecast_app.worker import GROUP, Worker
from common.clock import SystemClock
from common.errors import SchemaTooNewError
from common.kafka import make_consumer, make_producer
from common.leader import LeaderLock
from common.lifecycle import stop_on_signals
from common.log import configure_logging, get_logger
from common.ops import OpsServer
from common.settings import load_settings
from common.store import make_engine, upgrade_schema
from common.store.retention import Retention, RetentionPolicy

__all__ = ["main"]

_STANDBY_POLL_S = 0.02  # bounds the gap in a hand-over
_STANDBY_REFRESH_TURNS = 50  # a refresh each second
_RETRY_S = 1.0
# A broker that is back is found within a second or two, not after the client's default of 30.
_RECONNECT = {"reconnect_backoff_max_ms": 1_000, "bootstrap_timeout_ms": 5_000}

_log = get_logger(__name__)


def main() -> int:
    """Run until SIGTERM or SIGINT; 0 after a clean stop, 1 where the store is too new."""
    settings = load_settings(ForecastSettings)
    configure_logging(settings.service_name, settings.log_level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    stop = stop_on_signals()
    database = make_engine(settings.database_url)
    try:
        _open_store(database, stop)
    except SchemaTooNewError as error:
        _log.error("cannot use the store", error=str(error))
        return 1
    if not stop.is_set():
        _serve(settings, database, stop)
    _log.info("stopped")
    return 0


def _open_store(database: Database, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            before, now = upgrade_schema(database)
        except SchemaTooNewError as error:
            if not error.usable:
                raise
            _log.warning("the store is newer than this service", why=str(error))
            return
        except SQLAlchemyError as error:
            said = str(error).partition("\n")[0]
            _log.warning("store not available, trying again", error=said)
            stop.wait(_RETRY_S)
        else:
            _log.info("store ready", schema_before=before, schema=now)
            return


def _serve(settings: ForecastSettings, database: Database, stop: threading.Event) -> None:
    clock = SystemClock()
    servers, name = settings.kafka_bootstrap_servers, settings.service_name
    metrics, vitals = Metrics(), Vitals(clock)
    watcher = partial(make_consumer, servers, f"{name}-watch", **_RECONNECT)
    watch = BrokerWatch(watcher, settings.topic_prices, clock)
    publisher = Publisher(partial(make_producer, servers, name, **_RECONNECT), metrics)
    reader = partial(make_consumer, servers, name, group_id=GROUP, **_RECONNECT)
    source = TickSource(reader, settings.topic_prices)
    worker = Worker(settings, database, source, publisher, watch, metrics, vitals)
    registry = Registry(settings.model_dir, settings.feed)
    trainer = Trainer(settings, clock, metrics)
    supervision = Supervision(worker, registry, trainer, metrics, clock)
    checkpoint = Checkpoint(database, clock)
    policy = RetentionPolicy(settings.retention_ticks_days, settings.retention_predictions_days)
    retention = Retention(database, policy, clock)
    showcase = Showcase(database, registry, settings.feed, lambda: worker.model_version, clock)
    health = make_health(database, watch, worker, vitals, metrics)
    health.status = partial(describe, health, watch, worker, vitals, registry, trainer)
    lock = LeaderLock(settings.leader_lock_file)
    watch.start()
    with OpsServer(settings.ops_host, settings.ops_port, health) as ops:
        supervision.load_model()
        _log.info("ready as standby", ops_port=ops.port, ticks_known=_warm(worker))
        gc.collect()
        gc.freeze()  # modules and state so far are for good: no pause to look through them
        if _wait_for_lead(lock, worker, supervision, vitals, stop):
            health.role = "active"
            metrics.active.set(1)
            _log.info("active")
            trainer.resume(registry.trained_at)
            worker.run(stop, partial(_keep_house, supervision, showcase, retention, checkpoint))
            _close(source, publisher, vitals)
        lock.close()  # before what can take a moment: the one that stands by goes on from here
        trainer.stop()
        watch.stop()


def _keep_house(*duties: Callable[[], object]) -> None:
    for duty in duties:
        duty()


def _warm(worker: Worker) -> int:
    try:
        return worker.warm()
    except SQLAlchemyError as error:  # the active one's writes may be in the way: later, then
        _log.warning("warm start failed", error=str(error))
        return 0


def _wait_for_lead(
    lock: LeaderLock,
    worker: Worker,
    supervision: Supervision,
    vitals: Vitals,
    stop: threading.Event,
) -> bool:
    """Stay warm until the lock is ours; return whether it is."""
    turn = 0
    while not lock.try_acquire():
        if stop.wait(_STANDBY_POLL_S):
            return False
        vitals.beat = vitals.clock.monotonic()
        turn += 1
        if turn % _STANDBY_REFRESH_TURNS == 0:
            supervision.load_model()
            worker.prepare()
            _warm(worker)
    return True


def _close(source: TickSource, publisher: Publisher, vitals: Vitals) -> None:
    """Show Kafka the last offsets and leave; what counts is in the store already."""
    try:
        publisher.close()
        source.acknowledge(vitals.positions, wait=True)
        source.close()
    except KafkaError as error:
        _log.warning("Kafka did not take the last offsets", error=str(error))
