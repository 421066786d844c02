"""A made-up market for tests of the web application: fills a store, publishes to Kafka.

``python -m tests.support.market_producer --store FILE [--kafka HOST:PORT] [--history SECONDS]``
goes on at 1 Hz until it is stopped. The same seed gives the same market.
"""

import argparse
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from sqlalchemy import Engine

from common.clock import SystemClock, to_micros
from common.kafka import make_producer
from common.store import make_engine, upgrade_schema
from common.store.writer import save_predictions, save_ticks
from common.wire import HORIZONS_S, Feed, HorizonForecast, Outcome, Prediction, Tick, encode

__all__ = ["Market", "fill_store", "open_store"]

_NORMAL = (-1.96, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.96)
_STEP = 3.0  # standard deviation of a second's move, in the quote currency
_BATCH = 3_600


@dataclass
class Market:
    """A random walk with forecasts that know its volatility, scored when their time comes."""

    symbol: str = "BTC-USD"
    feed: Feed = "simulated"
    model_version: str = "baseline"
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    price: float = 67_000.0
    due: dict[tuple[int, datetime], Prediction] = field(default_factory=dict)

    def step(self, moment: datetime) -> tuple[Tick, Prediction]:
        """Return what is published for the second ``moment`` (whole, UTC)."""
        self.price += self.dice.gauss(0, _STEP)
        tick = self._tick(moment)
        prediction = self._predict(moment, tick)
        for each in prediction.horizons:
            self.due[each.horizon_s, each.target_time] = prediction
        return tick, prediction

    def _tick(self, moment: datetime) -> Tick:
        price = Decimal(f"{self.price:.2f}")
        return Tick(
            symbol=self.symbol,
            venue="coinbase",
            feed=self.feed,
            sequence=to_micros(moment),
            event_time=moment,
            receive_time=moment + timedelta(milliseconds=20),
            price=price,
            size=Decimal("0.01"),
            bid=price - Decimal("0.05"),
            bid_size=Decimal("0.8"),
            ask=price + Decimal("0.05"),
            ask_size=Decimal("0.4"),
            buy_volume=Decimal(f"{self.dice.random():.4f}"),
            sell_volume=Decimal(f"{self.dice.random():.4f}"),
            trade_id=str(to_micros(moment) // 1_000_000),
        )

    def _predict(self, moment: datetime, tick: Tick) -> Prediction:
        def forecast(horizon: int) -> HorizonForecast:
            spread = _STEP * horizon**0.5
            return HorizonForecast(
                horizon_s=horizon,
                target_time=moment + timedelta(seconds=horizon),
                mean=tick.mid,
                quantiles=tuple(tick.mid + z * spread for z in _NORMAL),
            )

        return Prediction(
            symbol=self.symbol,
            venue=tick.venue,
            feed=self.feed,
            sequence=tick.sequence,
            issue_time=moment + timedelta(milliseconds=25),
            reference_price=tick.mid,
            model_version=self.model_version,
            horizons=tuple(forecast(horizon) for horizon in HORIZONS_S),
            outcomes=tuple(self._outcomes(moment, tick.mid)),
        )

    def _outcomes(self, moment: datetime, actual: float) -> Iterable[Outcome]:
        for position, horizon in enumerate(HORIZONS_S):
            old = self.due.pop((horizon, moment), None)
            if old is None:
                continue
            each = old.horizons[position]
            error = abs(actual - each.quantiles[3])
            inside = [each.quantiles[i] <= actual <= each.quantiles[-1 - i] for i in range(3)]
            yield Outcome(
                horizon_s=horizon,
                issue_time=old.issue_time,
                target_time=moment,
                model_version=old.model_version,
                reference_price=old.reference_price,
                predicted=each.quantiles[3],
                actual=actual,
                crps=0.6 * error,
                crps_last_value=0.62 * error + 0.01,
                crps_baseline=0.59 * error + 0.01,
                inside_50=inside[2],
                inside_80=inside[1],
                inside_95=inside[0],
                width_95=each.quantiles[-1] - each.quantiles[0],
            )


def open_store(path: Path) -> Engine:
    """Return a store at the newest schema."""
    engine = make_engine(f"sqlite:///{path}")
    upgrade_schema(engine)
    return engine


def fill_store(engine: Engine, market: Market, start: datetime, seconds: int) -> None:
    """Write ``seconds`` of the market from ``start`` on."""
    moments = [start + timedelta(seconds=i) for i in range(seconds)]
    for begin in range(0, seconds, _BATCH):
        made = [market.step(moment) for moment in moments[begin : begin + _BATCH]]
        with engine.begin() as connection:
            save_ticks(connection, [tick for tick, _ in made])
            save_predictions(connection, [prediction for _, prediction in made])


def main() -> None:
    """Fill, then go on at 1 Hz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--kafka")
    parser.add_argument("--history", type=int, default=3_600)
    parser.add_argument("--feed", default="simulated")
    arguments = parser.parse_args()
    engine = open_store(arguments.store)
    market = Market(feed=arguments.feed)
    moment = SystemClock().now().astimezone(UTC).replace(microsecond=0)
    fill_store(engine, market, moment - timedelta(seconds=arguments.history), arguments.history)
    producer = make_producer([arguments.kafka], "market") if arguments.kafka else None
    while True:
        time.sleep(max(0.0, (moment - SystemClock().now()).total_seconds()))
        tick, prediction = market.step(moment)
        if producer:
            key = tick.symbol.encode()
            producer.send("bitcoin-prices", key=key, value=encode(tick))
            producer.send("bitcoin-predictions", key=key, value=encode(prediction))
        with engine.begin() as connection:
            save_ticks(connection, [tick])
            save_predictions(connection, [prediction])
        moment += timedelta(seconds=1)


if __name__ == "__main__":
    main()
