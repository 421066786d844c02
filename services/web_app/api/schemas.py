"""The shapes of the answers that are made of parts; the document of the API is drawn from them."""

from datetime import datetime
from typing import Literal

import msgspec

from common.wire import Feed
from web_app.api.models import BarItem, PredictionItem, TickItem

__all__ = [
    "BarsAnswer",
    "Component",
    "HealthAnswer",
    "OverviewAnswer",
    "PredictionPoint",
    "PredictionsAnswer",
    "PricePoint",
    "Problem",
    "ScoreSeriesAnswer",
    "ScoresAnswer",
    "StatusAnswer",
    "SymbolsAnswer",
    "TicksAnswer",
]

Columns = dict[str, list[float | None]]
NextCursor = str | None


class Problem(msgspec.Struct, frozen=True):
    """An error (RFC 9457); ``detail`` says what is wrong and what to type instead."""

    type: str
    title: str
    status: int
    detail: str
    instance: str


class Component(msgspec.Struct, frozen=True):
    """Whether one part can do its work, and why not."""

    ready: bool
    detail: str


class HealthAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One look at everything; ``notice`` says what is to be known of data that are not live."""

    status: Literal["ok", "degraded", "failing"]
    time: datetime
    instance: str
    feed: Feed
    notice: str | None
    last_tick_age_s: float | None
    last_prediction_age_s: float | None
    model_version: str | None
    streams: int
    components: dict[str, Component]


class StatusAnswer(HealthAnswer, frozen=True, kw_only=True):
    """Health, and the pipeline from the exchange to the screen."""

    exchange: str | None
    forecaster_lag: int | None
    web_lag: int | None
    max_streams: int
    symbols: list[str]
    ticks_kept: int | None
    store_bytes: int | None


class SymbolItem(msgspec.Struct, frozen=True):
    """What is kept of one symbol; bars are kept for good, ticks for a while."""

    symbol: str
    first_tick: datetime | None
    first_bar: datetime | None
    last_tick: datetime | None
    horizons_s: list[int]


class SymbolsAnswer(msgspec.Struct, frozen=True):
    """The symbols that are served, and the one feed that is shown."""

    feed: Feed
    items: list[SymbolItem]


class TicksAnswer(msgspec.Struct, frozen=True):
    """A page of ticks."""

    items: list[TickItem]
    next_cursor: NextCursor


class BarsAnswer(msgspec.Struct, frozen=True):
    """A page of bars, as ``items`` or as ``columns``."""

    next_cursor: NextCursor
    items: list[BarItem] | msgspec.UnsetType = msgspec.UNSET
    columns: Columns | msgspec.UnsetType = msgspec.UNSET


class PredictionsAnswer(msgspec.Struct, frozen=True):
    """A page of predictions, as ``items`` or as ``columns``."""

    next_cursor: NextCursor
    items: list[PredictionItem] | msgspec.UnsetType = msgspec.UNSET
    columns: Columns | msgspec.UnsetType = msgspec.UNSET


class ScoreItem(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of one horizon over the window; prices in the quote currency.

    ``bias`` is the mean of actual - predicted, ``skill_x`` 1 - CRPS / CRPS of the reference.
    """

    horizon_s: int
    n: int
    bias: float | None
    mae: float | None
    rmse: float | None
    crps: float | None
    coverage_50: float | None
    coverage_80: float | None
    coverage_95: float | None
    width_95: float | None
    skill_last_value: float | None
    skill_baseline: float | None


class ScoresAnswer(msgspec.Struct, frozen=True):
    """Scores of every horizon over one window."""

    window: str
    items: list[ScoreItem]


class ScoreSeriesAnswer(msgspec.Struct, frozen=True):
    """Scores of one horizon by steps of target time; ``time`` in seconds since the epoch."""

    horizon_s: int
    step_s: int
    columns: Columns


class PricePoint(msgspec.Struct, frozen=True):
    """One second; the time is UTC, without zone."""

    timestamp: str
    open: float
    high: float
    low: float
    close: float
    volume: float


class PredictionPoint(msgspec.Struct, frozen=True):
    """A forecast at the time it is for, with its 95 % band."""

    timestamp: str
    pred_price: float
    pred_lower: float
    pred_upper: float


class OverviewAnswer(msgspec.Struct, frozen=True):
    """Everything that the earlier page showed."""

    current_price: float | None
    predicted_price: float | None
    mae: float | None
    mape: float | None
    timestamp: str | None
    recent_data: dict[str, list[str | float]]
    plot_settings: dict[str, int]
