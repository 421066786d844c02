"""The venues' adapters, one module each."""

from collections.abc import Mapping
from types import MappingProxyType

from data_collector.venues.base import Adapter, Answers, Observation, Request, TakerTrade, Totals
from data_collector.venues.binance import BinanceAdapter
from data_collector.venues.coinbase import CoinbaseAdapter
from data_collector.venues.kraken import KrakenAdapter

__all__ = ["ADAPTERS", "Adapter", "Answers", "Observation", "Request", "TakerTrade", "Totals"]

ADAPTERS: Mapping[str, Adapter] = MappingProxyType(
    {each.venue: each for each in (CoinbaseAdapter(), BinanceAdapter(), KrakenAdapter())}
)
