"""The loop of the active process: ticks in, one transaction, predictions out, in that order."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from kafka.errors import KafkaError
from sqlalchemy import Engine as Database
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from bitcoin_forecast_app.broker_watch import BrokerWatch
from bitcoin_forecast_app.engine import Engine, Key
from bitcoin_forecast_app.history import count_ticks, list_series
from bitcoin_forecast_app.intake import Intake, Taken
from bitcoin_forecast_app.metrics import Metrics
from bitcoin_forecast_app.model import NO_MODEL, Model
from bitcoin_forecast_app.republish import stored_predictions
from bitcoin_forecast_app.scoreboard import Scoreboard
from bitcoin_forecast_app.settings import ForecastSettings
from bitcoin_forecast_app.stream import Message, Publisher, TickSource
from bitcoin_forecast_app.vitals import Vitals
from bitcoin_forecast_app.warm import warm_up
from common.errors import StaleOffsetError
from common.log import get_logger
from common.store.writer import load_offsets, save_offset, save_predictions, save_ticks
from common.wire import MEDIAN, Prediction, Tick, encode

__all__ = ["GROUP", "Worker"]

GROUP = "bitcoin-forecast-app"

_BATCH = 16  # ticks in one transaction: few, so that the first waits little for the last
_BACK_OFF_S = 1.0
_MAX_REPUBLISHED = 500
_WATCH_POLL_S = 0.05
_CATCH_UP_S = 2.0  # ticks that waited for a take-over come before any other duty

# What a message that passes validation could still cause. Without an end: the next try is the same.
_POISONED = (DataError, IntegrityError, ArithmeticError, ValueError)

_log = get_logger(__name__)


class Worker:
    """Owns the engine. `warm` may be called often before `run`; all by one thread."""

    def __init__(
        self,
        settings: ForecastSettings,
        database: Database,
        source: TickSource,
        publisher: Publisher,
        watch: BrokerWatch,
        metrics: Metrics,
        vitals: Vitals,
    ) -> None:
        self._settings = settings
        self._database = database
        self._source = source
        self._publisher = publisher
        self._watch = watch
        self._metrics = metrics
        self._vitals = vitals
        self._intake = Intake(settings.topic_dlq, vitals.clock, metrics)
        self._suspects = 0  # records to be taken one by one, to find the one that is to blame
        self._model: Model | None = None
        self.engine = Engine()
        self.stored_ticks = 0
        self.scoreboards: dict[Key, Scoreboard] = {}

    @property
    def model_version(self) -> str:
        """Return the version that forecasts the configured feed."""
        return self._model.version if self._model else NO_MODEL

    def use(self, model: Model | None) -> None:
        """Forecast the configured feed with ``model`` from now on."""
        self._model = model
        self.engine.use(self._settings.feed, model)

    def warm(self) -> int:
        """Take in what is stored and not known yet; return how many ticks."""
        with self._database.connect() as connection:
            return warm_up(self.engine, connection)

    def prepare(self) -> None:
        """Connect to Kafka, if it is there; a standby does it before it is needed."""
        if self._watch.check().ok:
            self._source.warm()
            self._publisher.warm([self._settings.topic_predictions, self._settings.topic_dlq])

    def run(self, stop: threading.Event, housekeeping: Callable[[], None]) -> None:
        """Work until ``stop``; after a fault of store or broker, reload and go on."""
        while not stop.is_set():
            try:
                self._resume(stop)
                self._vitals.error = ""
                resumed = self._vitals.clock.monotonic()
                while not stop.is_set():
                    self._turn(stop)
                    if self._vitals.clock.monotonic() - resumed >= _CATCH_UP_S:
                        housekeeping()
            except (SQLAlchemyError, KafkaError, OSError, StaleOffsetError, *_POISONED) as error:
                self._vitals.error = f"{type(error).__name__}: {error}"
                self._metrics.restarts.inc()
                _log.warning("reloading after an error", error=self._vitals.error)
                self.engine = Engine()  # what was not committed must not be remembered
                self.use(self._model)
                stop.wait(_BACK_OFF_S)

    def _resume(self, stop: threading.Event) -> None:
        """Go to the stored state and offsets, and publish again what may not have been."""
        while not self._watch.check().ok and not stop.wait(_WATCH_POLL_S):
            self._vitals.error = self._watch.check().detail
            self._beat()
        self.warm()
        self.prepare()
        with self._database.connect() as connection:
            self.stored_ticks = count_ticks(connection, self._settings.feed)
        self._beat()
        self._assign()
        while not self._source.assigned and not stop.wait(0.05):
            self._beat()
            self._assign()
        if not stop.is_set():
            self._publish_again(stop)

    def _assign(self) -> None:
        partitions = frozenset(self._watch.end_offsets)
        with self._database.connect() as connection:
            offsets = load_offsets(connection, GROUP, self._settings.topic_prices)
        self._source.follow(partitions, offsets)
        self._vitals.positions = {index: offsets.get(index, 0) for index in partitions}

    def _publish_again(self, stop: threading.Event) -> None:
        """Publish what lies between Kafka's offset of the group and the store's, at least one."""
        unsure = 0
        for index, position in self._vitals.positions.items():
            committed = self._source.committed(index)
            unsure += 0 if committed is None else max(0, position - committed)
        count = min(_MAX_REPUBLISHED, max(1, unsure))
        with self._database.connect() as connection:
            again = [
                prediction
                for key in list_series(connection)
                for prediction in stored_predictions(connection, key, count)
            ]
        self._publisher.publish([self._message(item) for item in again], stop, self._beat)
        self._source.acknowledge(self._vitals.positions)

    def _turn(self, stop: threading.Event) -> None:
        self._beat()
        if frozenset(self._watch.end_offsets) - self._source.assigned:
            self._assign()  # the topic has grown
        records = self._source.poll()
        arrived = self._vitals.clock.monotonic()
        start = 0
        while start < len(records) and not stop.is_set():
            batch = records[start : start + (1 if self._suspects else _BATCH)]
            try:
                self._process(batch, arrived, stop)
            except _POISONED as error:
                self._blame(batch, error)
                raise
            start += len(batch)
            self._suspects = max(0, self._suspects - len(batch))

    def _blame(self, batch: Sequence[Any], error: Exception) -> None:
        """Look at the records of ``batch`` one by one, or give up the single one in it.

        Nothing of it was committed: it comes again.
        """
        if len(batch) > 1:
            self._suspects = len(batch)
        else:
            reason = f"cannot be stored: {type(error).__name__}: {error}".partition("\n")[0]
            self._intake.condemn(batch[0], reason)
            _log.error("a message is given up", offset=batch[0].offset, reason=reason)

    def _process(self, records: Sequence[Any], arrived: float, stop: threading.Event) -> None:
        taken = self._intake.take(records)
        made: list[tuple[Tick, Prediction]] = []
        for tick in taken.ticks:
            prediction = self.engine.on_tick(tick, self._vitals.clock.now())
            if prediction is not None:
                made.append((tick, prediction))
        # Before the offsets say that they are done with: a crash repeats dead letters, loses none.
        if not self._publisher.publish(taken.dead_letters, stop, self._beat):
            return
        self._commit(taken, [prediction for _, prediction in made])
        messages = [self._message(prediction) for _, prediction in made]
        if self._publisher.publish(messages, stop, self._beat):
            self._source.acknowledge(taken.offsets)
            self._report(taken, made, arrived)

    def _commit(self, taken: Taken, made: Sequence[Prediction]) -> None:
        clock = self._vitals.clock
        began = clock.monotonic()
        with self._database.begin() as connection:
            save_ticks(connection, taken.ticks)
            save_predictions(connection, made)
            topic, positions = self._settings.topic_prices, self._vitals.positions
            for partition, offset in taken.offsets.items():
                save_offset(connection, GROUP, topic, partition, offset, positions[partition])
        self._metrics.commit_latency.observe(clock.monotonic() - began)
        self._vitals.positions = self._vitals.positions | taken.offsets

    def _message(self, prediction: Prediction) -> Message:
        topic = self._settings.topic_predictions
        return Message(topic, prediction.symbol.encode(), encode(prediction))

    def _report(
        self, taken: Taken, made: Sequence[tuple[Tick, Prediction]], arrived: float
    ) -> None:
        vitals = self._vitals
        latency_s = vitals.clock.monotonic() - arrived
        self._metrics.ticks.inc(len(taken.ticks))
        vitals.ticks += len(taken.ticks)
        self.stored_ticks += sum(tick.feed == self._settings.feed for tick in taken.ticks)
        if taken.ticks:
            vitals.last_tick = taken.ticks[-1].receive_time
        for tick, prediction in made:
            self._metrics.latency.observe(latency_s)
            vitals.latencies_s.append(latency_s)
            vitals.scores += len(prediction.outcomes)
            for outcome in prediction.outcomes:
                self._metrics.scores.labels(outcome.horizon_s).inc()
                key = Key(prediction.feed, prediction.symbol)
                self.scoreboards.setdefault(key, Scoreboard()).add(outcome)
            if prediction.horizons:
                vitals.predictions += 1
                self._metrics.predictions.inc()
                vitals.last_prediction = prediction.issue_time
                _log_prediction(tick, prediction, latency_s)

    def _beat(self) -> None:
        self._vitals.beat = self._vitals.clock.monotonic()


def _log_prediction(tick: Tick, prediction: Prediction, latency_s: float) -> None:
    first = prediction.horizons[0]
    _log.info(
        f"Made prediction for timestamp {tick.receive_time.isoformat()}: "
        f"Actual={prediction.reference_price:.2f}, Predicted={first.quantiles[MEDIAN]:.2f}",
        symbol=tick.symbol,
        feed=tick.feed,
        horizon_s=first.horizon_s,
        low=f"{first.quantiles[0]:.2f}",
        high=f"{first.quantiles[-1]:.2f}",
        model=prediction.model_version,
        latency_ms=f"{latency_s * 1e3:.1f}",
    )
