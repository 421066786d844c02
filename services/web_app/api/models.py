"""The answers of the API. Times are UTC; prices as text are exact, as numbers they are binary."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row

from common.clock import from_micros
from common.store.queries import QUANTILE_COLUMNS, Series
from common.wire import QUANTILE_LEVELS, HorizonForecast, Prediction, Tick

__all__ = [
    "BarItem",
    "ForecastItem",
    "LatestAnswer",
    "PredictionItem",
    "ScoreItem",
    "TickItem",
    "bar_item",
    "forecast_items",
    "latest_answer",
    "prediction_item",
    "score_item",
    "tick_from_wire",
    "tick_item",
]


class TickItem(msgspec.Struct, frozen=True, kw_only=True):
    """One observation of the market; the same fields as on the topic."""

    symbol: str
    venue: str
    feed: str
    sequence: int
    event_time: datetime
    receive_time: datetime
    price: str
    size: str | None = None
    bid: str | None = None
    bid_size: str | None = None
    ask: str | None = None
    ask_size: str | None = None
    buy_volume: str | None = None
    sell_volume: str | None = None
    trade_id: str | None = None
    event_time_estimated: bool = False


class BarItem(msgspec.Struct, frozen=True, kw_only=True):
    """Trades of one interval; ``mid`` is the last mid price in it. No bar means no tick."""

    time: datetime
    open: float
    high: float
    low: float
    close: float
    mid: float
    volume: float
    ticks: int


class ForecastItem(msgspec.Struct, frozen=True, kw_only=True):
    """The forecast for one horizon; ``quantiles`` by level."""

    horizon_s: int
    target_time: datetime
    mean: float
    quantiles: dict[str, float]


class PredictionItem(msgspec.Struct, frozen=True, kw_only=True):
    """What was forecast, and what came (``actual``, a mid price) once its time is there."""

    issue_time: datetime
    target_time: datetime
    horizon_s: int
    model_version: str
    reference_price: float
    mean: float
    quantiles: dict[str, float]
    actual: float | None = None


class ScoreItem(msgspec.Struct, frozen=True, kw_only=True):
    """How one forecast came out; ``error`` is actual - predicted."""

    target_time: datetime
    issue_time: datetime
    horizon_s: int
    model_version: str
    predicted: float
    actual: float
    error: float
    crps: float
    crps_last_value: float
    crps_baseline: float
    inside_50: bool
    inside_80: bool
    inside_95: bool
    width_95: float


class LatestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The newest tick and the newest forecasts, all horizons."""

    symbol: str
    feed: str
    tick: TickItem | None
    issue_time: datetime | None
    model_version: str | None
    reference_price: float | None
    forecasts: list[ForecastItem]


_LEVELS = tuple(str(level) for level in QUANTILE_LEVELS)
_TICK_TEXTS = ("price", "size", "bid", "bid_size", "ask", "ask_size", "buy_volume", "sell_volume")


def tick_item(row: Row[Any]) -> TickItem:
    """Return a row of the store as an item."""
    texts = {name: getattr(row, name) for name in _TICK_TEXTS}
    return TickItem(
        symbol=row.symbol,
        venue=row.venue,
        feed=row.feed,
        sequence=row.sequence,
        event_time=from_micros(row.event_time),
        receive_time=from_micros(row.receive_time),
        trade_id=row.trade_id,
        event_time_estimated=bool(row.event_time_estimated),
        **texts,
    )


def tick_from_wire(tick: Tick) -> TickItem:
    """Return a live tick as an item."""
    texts: dict[str, Any] = {
        name: None if (value := getattr(tick, name)) is None else f"{value:f}"
        for name in _TICK_TEXTS
    }
    return TickItem(
        symbol=tick.symbol,
        venue=tick.venue,
        feed=tick.feed,
        sequence=tick.sequence,
        event_time=tick.event_time,
        receive_time=tick.receive_time,
        trade_id=tick.trade_id,
        event_time_estimated=tick.event_time_estimated,
        **texts,
    )


def _by_level(row: Row[Any]) -> dict[str, float]:
    values = (getattr(row, name) for name in QUANTILE_COLUMNS)
    return dict(zip(_LEVELS, values, strict=True))


def _forecast_from_wire(forecast: HorizonForecast) -> ForecastItem:
    return ForecastItem(
        horizon_s=forecast.horizon_s,
        target_time=forecast.target_time,
        mean=forecast.mean,
        quantiles=dict(zip(_LEVELS, forecast.quantiles, strict=True)),
    )


def forecast_items(source: Prediction | list[Row[Any]]) -> list[ForecastItem]:
    """Return the forecasts of a live prediction, or of the store's rows of one issue time."""
    if isinstance(source, Prediction):
        return [_forecast_from_wire(forecast) for forecast in source.horizons]
    return [
        ForecastItem(
            horizon_s=row.horizon_s,
            target_time=from_micros(row.target_time),
            mean=row.mean,
            quantiles=_by_level(row),
        )
        for row in source
    ]


def latest_answer(
    own: Series, tick: TickItem | None, source: Prediction | list[Row[Any]]
) -> LatestAnswer:
    """Return the newest of both, from either source."""
    head: Any = source if isinstance(source, Prediction) else next(iter(source), None)
    issued = None if head is None else head.issue_time
    return LatestAnswer(
        symbol=own.symbol,
        feed=own.feed,
        tick=tick,
        issue_time=from_micros(issued) if isinstance(issued, int) else issued,
        model_version=None if head is None else head.model_version,
        reference_price=None if head is None else head.reference_price,
        forecasts=forecast_items(source),
    )


def bar_item(row: Row[Any]) -> BarItem:
    """Return a row of `common.store.queries.select_bars` as an item."""
    return BarItem(
        time=from_micros(row.bucket),
        open=row.open,
        high=row.high,
        low=row.low,
        close=row.close,
        mid=row.mid,
        volume=row.volume,
        ticks=row.ticks,
    )


def prediction_item(row: Row[Any]) -> PredictionItem:
    """Return a row of `common.store.queries.select_predictions` as an item."""
    return PredictionItem(
        issue_time=from_micros(row.issue_time),
        target_time=from_micros(row.target_time),
        horizon_s=row.horizon_s,
        model_version=row.model_version,
        reference_price=row.reference_price,
        mean=row.mean,
        quantiles=_by_level(row),
        actual=row.actual,
    )


def score_item(row: Row[Any]) -> ScoreItem:
    """Return a row of ``scores`` as an item."""
    return ScoreItem(
        target_time=from_micros(row.target_time),
        issue_time=from_micros(row.issue_time),
        horizon_s=row.horizon_s,
        model_version=row.model_version,
        predicted=row.predicted,
        actual=row.actual,
        error=row.actual - row.predicted,
        crps=row.crps,
        crps_last_value=row.crps_last_value,
        crps_baseline=row.crps_baseline,
        inside_50=bool(row.inside_50),
        inside_80=bool(row.inside_80),
        inside_95=bool(row.inside_95),
        width_95=row.width_95,
    )
