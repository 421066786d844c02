"""Probes and the `/status` document."""

from collections.abc import Callable

from sqlalchemy import Engine as Database

from bitcoin_forecast_app.broker_watch import BrokerWatch
from bitcoin_forecast_app.metrics import Metrics
from bitcoin_forecast_app.vitals import Vitals
from bitcoin_forecast_app.worker import Worker
from common.health import Check, Health
from common.store.writer import save_offset

__all__ = ["make_health"]

_STALLED_S = 20.0  # above the longest wait on the database or an acknowledgement


def make_health(
    database: Database,
    watch: BrokerWatch,
    worker: Worker,
    vitals: Vitals,
    metrics: Metrics,
) -> Health:
    """Return the health of a standby; its role changes when it becomes the active one."""
    health = Health(role="standby")

    def loop() -> Check:
        silent_s = vitals.clock.monotonic() - vitals.beat
        return Check(ok=silent_s < _STALLED_S, detail=f"last turn {silent_s:.1f} s ago")

    def working() -> Check:
        return Check(ok=not vitals.error, detail=vitals.error or "no error")

    health.live = {"loop": loop}
    health.ready = {"store": _store_probe(database), "kafka": watch.check, "work": working}
    health.status = lambda: _status(health, watch, worker, vitals, metrics)
    metrics.lag.set_function(lambda: watch.lag(vitals.positions))
    return health


def _store_probe(database: Database) -> Callable[[], Check]:
    def probe() -> Check:
        with database.connect() as connection:
            save_offset(connection, "readiness-probe", "-", 0, 0)  # a write that is taken back
            connection.rollback()
        return Check(ok=True, detail=f"{database.dialect.name} takes writes")

    return probe


def _status(
    health: Health, watch: BrokerWatch, worker: Worker, vitals: Vitals, metrics: Metrics
) -> dict[str, object]:
    engine = worker.engine
    unscored: dict[str, int] = {}
    for forecaster in list(engine.forecasters.values()):
        for reason, count in dict(forecaster.settlement.unscored).items():
            unscored[reason] = unscored.get(reason, 0) + count
    for reason, count in unscored.items():
        metrics.unscored.labels(reason).set(count)
    return {
        "role": health.role,
        "last_tick_age_s": vitals.age(vitals.last_tick),
        "last_prediction_age_s": vitals.age(vitals.last_prediction),
        "rows_written": {
            "ticks": vitals.ticks,
            "predictions": vitals.predictions,
            "scores": vitals.scores,
        },
        "lag": watch.lag(vitals.positions),
        "latency_ms": vitals.latency_ms(),
        "ignored_ticks": dict(engine.ignored),
        "unscored": unscored,
        "series": [list(key) for key in list(engine.forecasters)],
        "error": vitals.error,
    }
