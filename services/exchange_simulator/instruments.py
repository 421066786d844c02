"""The markets that can be simulated, with the scale of their real counterparts."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["INSTRUMENTS", "VENUES", "Instrument", "base_of"]

VENUES = ("coinbase", "binance", "kraken")


@dataclass(frozen=True)
class Instrument:
    """One market; sizes in the base currency, prices in US dollars.

    ``volatility`` is that of the log price for one second (1.5 % a day is 5e-5).
    ``moves_per_s`` is the mean rate of bursts that move the quote; between them it stands still.
    """

    symbol: str
    price: float
    volatility: float
    moves_per_s: float
    depth: float
    trade_size: float
    trades_per_s: float
    daily_volume: float
    ticks: Mapping[str, float]  # by venue


def _instrument(
    symbol: str, price: float, ticks: tuple[float, float, float], daily_volatility: float
) -> Instrument:
    unit = 64_000.0 / price  # amounts of Bitcoin of the same worth
    return Instrument(
        symbol=symbol,
        price=price,
        volatility=daily_volatility / 86_400**0.5,
        moves_per_s=0.22,
        depth=2.8 * unit,
        trade_size=0.0036 * unit,
        trades_per_s=8.0,
        daily_volume=12_000.0 * unit,
        ticks=MappingProxyType(dict(zip(VENUES, ticks, strict=True))),
    )


_TABLE = (
    _instrument("BTC-USD", 64_000.0, (0.01, 0.01, 0.1), 0.015),
    _instrument("ETH-USD", 3_100.0, (0.01, 0.01, 0.01), 0.02),
    _instrument("SOL-USD", 150.0, (0.01, 0.01, 0.01), 0.03),
    _instrument("XRP-USD", 0.6, (0.0001, 0.0001, 0.00001), 0.025),
    _instrument("ADA-USD", 0.45, (0.0001, 0.0001, 0.000001), 0.025),
    _instrument("DOGE-USD", 0.15, (0.00001, 0.00001, 0.0000001), 0.03),
    _instrument("LTC-USD", 75.0, (0.01, 0.01, 0.01), 0.02),
    _instrument("LINK-USD", 14.0, (0.001, 0.01, 0.00001), 0.025),
)
INSTRUMENTS: Mapping[str, Instrument] = MappingProxyType({each.symbol: each for each in _TABLE})


def base_of(symbol: str) -> str:
    """Return ``BTC`` of ``BTC-USD``."""
    return symbol.partition("-")[0]
