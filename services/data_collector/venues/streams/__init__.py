"""The venues' streams, one module each."""

from collections.abc import Mapping
from types import MappingProxyType

from data_collector.venues.streams.base import MarketState, Message, StreamAdapter, Update
from data_collector.venues.streams.binance import BinanceStream
from data_collector.venues.streams.coinbase import CoinbaseStream
from data_collector.venues.streams.kraken import KrakenStream

__all__ = ["STREAMS", "MarketState", "Message", "StreamAdapter", "Update"]

STREAMS: Mapping[str, StreamAdapter] = MappingProxyType(
    {each.venue: each for each in (CoinbaseStream(), BinanceStream(), KrakenStream())}
)
