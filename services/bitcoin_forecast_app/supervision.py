"""What the active process does between ticks: start training, pick up models, watch for drift."""

from typing import Final

from bitcoin_forecast_app.metrics import Metrics
from bitcoin_forecast_app.registry import Registry
from bitcoin_forecast_app.scoreboard import WINDOWS_S, Scoreboard
from bitcoin_forecast_app.training import Trainer
from bitcoin_forecast_app.worker import Worker
from common.clock import Clock
from common.log import get_logger

__all__ = ["Supervision"]

_INTERVAL_S: Final = 1.0
_EXPORT_S: Final = 10.0
_LEAST_SCORED: Final = 300  # outcomes within the hour before drift is spoken of
_DRIFT: Final = -0.02  # skill against the baseline below which the model is behind

_log = get_logger(__name__)


class Supervision:
    """Called after each turn of the loop; does its work once a second."""

    def __init__(
        self,
        worker: Worker,
        registry: Registry,
        trainer: Trainer,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._worker = worker
        self._registry = registry
        self._trainer = trainer
        self._metrics = metrics
        self._clock = clock
        self._next = 0.0
        self._next_export = 0.0
        self._seen: str | None = None

    def load_model(self) -> None:
        """Use the model in service, if that has changed."""
        current = self._registry.current
        if current == self._seen:
            return
        model = self._registry.load_current()
        self._seen = current
        self._worker.use(model)
        _log.info("model in service", version=model.version if model else "none")

    def __call__(self) -> None:
        """Do what is due; takes milliseconds."""
        now = self._clock.monotonic()
        if now < self._next:
            return
        self._next = now + _INTERVAL_S
        self.load_model()
        self._trainer.poll(self._worker.stored_ticks, drifting=self._drifting())
        if now >= self._next_export:
            self._next_export = now + _EXPORT_S
            self._export()

    def _drifting(self) -> bool:
        """Return whether the model in service does worse than the baseline over the last hour."""
        if not self._seen:
            return False
        return any(self._behind(board) for board in self._worker.scoreboards.values())

    @staticmethod
    def _behind(board: Scoreboard) -> bool:
        first = next(iter(board.report("1h").values()), {})
        return first.get("n", 0) >= _LEAST_SCORED and first.get("skill_baseline", 0.0) < _DRIFT

    def _export(self) -> None:
        for key, board in self._worker.scoreboards.items():
            for window in WINDOWS_S:
                for horizon, scores in board.report(window).items():
                    for reference in ("last_value", "baseline"):
                        if f"skill_{reference}" in scores:
                            self._metrics.crps.labels(
                                key.feed, key.symbol, horizon, reference, window
                            ).set(scores[f"skill_{reference}"])
