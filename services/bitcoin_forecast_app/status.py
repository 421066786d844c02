"""Probes and the `/status` document."""

from collections import Counter
from collections.abc import Callable
from functools import partial

from sqlalchemy import Engine as Database

from bitcoin_forecast_app.broker_watch import BrokerWatch
from bitcoin_forecast_app.metrics import Metrics
from bitcoin_forecast_app.model import NO_MODEL
from bitcoin_forecast_app.registry import Registry
from bitcoin_forecast_app.scoreboard import WINDOWS_S
from bitcoin_forecast_app.training import Trainer
from bitcoin_forecast_app.vitals import Vitals
from bitcoin_forecast_app.worker import Worker
from common.health import Check, Health
from common.store.writer import save_offset

__all__ = ["describe", "make_health"]

_STALLED_S = 20.0  # above the longest wait on the database or an acknowledgement
_MANIFEST = ("version", "trained_at", "window", "rows", "scores", "promoted", "reason", "code")


def make_health(
    database: Database,
    watch: BrokerWatch,
    worker: Worker,
    vitals: Vitals,
    metrics: Metrics,
) -> Health:
    """Return the health of a standby; its role changes when it becomes the active one."""

    def loop() -> Check:
        silent_s = vitals.clock.monotonic() - vitals.beat
        return Check(ok=silent_s < _STALLED_S, detail=f"last turn {silent_s:.1f} s ago")

    def working() -> Check:
        return Check(ok=not vitals.error, detail=vitals.error or "no error")

    metrics.lag.set_function(lambda: watch.lag(vitals.positions))
    for reason in ("gap", "venue", "unseen", "overflow"):
        metrics.unscored.labels(reason).set_function(partial(_count_unscored, worker, reason))
    for reason in ("repeated", "reordered", "stale", "series"):
        metrics.ignored.labels(reason).set_function(partial(_count_ignored, worker, reason))
    return Health(
        role="standby",
        live={"loop": loop},
        ready={"store": _store_probe(database), "kafka": watch.check, "work": working},
    )


def _store_probe(database: Database) -> Callable[[], Check]:
    def probe() -> Check:
        with database.connect() as connection:
            save_offset(connection, "readiness-probe", "-", 0, 0)  # a write that is taken back
            connection.rollback()
        return Check(ok=True, detail=f"{database.dialect.name} takes writes")

    return probe


def _count_unscored(worker: Worker, reason: str) -> float:
    return float(_unscored(worker)[reason])


def _count_ignored(worker: Worker, reason: str) -> float:
    return float(worker.engine.ignored[reason])


def _unscored(worker: Worker) -> Counter[str]:
    total: Counter[str] = Counter()
    for forecaster in list(worker.engine.forecasters.values()):
        total.update(forecaster.settlement.unscored)
    return total


def describe(
    health: Health,
    watch: BrokerWatch,
    worker: Worker,
    vitals: Vitals,
    registry: Registry,
    trainer: Trainer,
) -> dict[str, object]:
    """Return the document that `/status` answers with."""
    engine = worker.engine
    return {
        "role": health.role,
        "model": _model(worker, registry, trainer),
        "last_tick_age_s": vitals.age(vitals.last_tick),
        "last_prediction_age_s": vitals.age(vitals.last_prediction),
        "rows_written": {
            "ticks": vitals.ticks,
            "predictions": vitals.predictions,
            "scores": vitals.scores,
        },
        "ticks_stored": worker.stored_ticks,
        "lag": watch.lag(vitals.positions),
        "latency_ms": vitals.latency_ms(),
        "ignored_ticks": dict(engine.ignored),
        "unscored": dict(_unscored(worker)),
        "scores": {
            f"{key.feed}/{key.symbol}": {window: board.report(window) for window in WINDOWS_S}
            for key, board in list(worker.scoreboards.items())
        },
        "expert_weights": {
            f"{key.feed}/{key.symbol}": forecaster.weights
            for key, forecaster in list(engine.forecasters.items())
        },
        "error": vitals.error,
    }


def _model(worker: Worker, registry: Registry, trainer: Trainer) -> dict[str, object]:
    """Return what serves and what the newest training run came to."""
    last = registry.last_training()
    return {
        "version": worker.model_version,
        "serving": "baseline and online experts" if worker.model_version == NO_MODEL else "model",
        "manifest": _short(registry, worker.model_version),
        "last_training": {name: last[name] for name in _MANIFEST if name in last},
        "training_now": trainer.running,
        "last_result": trainer.last_result,
    }


def _short(registry: Registry, version: str) -> dict[str, object]:
    if version == NO_MODEL:
        return {}
    manifest = registry.manifest(version)
    return {name: manifest[name] for name in _MANIFEST if name in manifest}
