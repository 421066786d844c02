"""What the collector is told by its environment."""

import os
import stat
from pathlib import Path
from typing import Annotated, Literal

import httpx
from pydantic import Field, HttpUrl, SecretStr, WebsocketUrl, field_validator, model_validator

from common.clock import Clock, SystemClock
from common.errors import ConfigurationError
from common.settings import CommaSeparated, ServiceSettings, load_settings, split_commas
from data_collector.venues import ADAPTERS, Request
from data_collector.venues.credentials import BinanceKey, CoinbaseKey

__all__ = ["CollectorSettings", "load_collector_settings"]

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class CollectorSettings(ServiceSettings):
    """Durations in seconds, sizes in bytes; ``EXCHANGES`` is the failover order."""

    service_name: str = "data-collector"
    exchanges: CommaSeparated = ("coinbase", "binance", "kraken")
    coinbase_rest_url: HttpUrl = HttpUrl("https://api.exchange.coinbase.com")
    binance_rest_url: HttpUrl = HttpUrl("https://api.binance.com")
    kraken_rest_url: HttpUrl = HttpUrl("https://api.kraken.com")
    collector_mode: Literal["rest", "stream"] = "rest"
    coinbase_ws_url: WebsocketUrl = WebsocketUrl("wss://ws-feed.exchange.coinbase.com")
    binance_ws_url: WebsocketUrl = WebsocketUrl("wss://stream.binance.com:443")
    kraken_ws_url: WebsocketUrl = WebsocketUrl("wss://ws.kraken.com")
    # Of an account, where there is one (polling only): all three of Coinbase's, or none.
    coinbase_api_key: SecretStr | None = None
    coinbase_api_secret: SecretStr | None = None  # base64, as Coinbase gives it
    coinbase_api_passphrase: SecretStr | None = None
    binance_api_key: SecretStr | None = None
    stream_silence_s: Seconds = 5.0  # heartbeats count; then a stream is made anew
    poll_interval_s: Annotated[float, Field(ge=0.01, le=60)] = 1.0
    rate_limit_factor: Seconds = 1.0  # of the documented limits; more for a simulator without any
    request_timeout_s: Seconds = 0.7  # while another venue can still be asked for this second
    poll_deadline_s: Seconds = 2.5  # for all venues together
    max_polls_in_flight: Annotated[int, Field(ge=1, le=100)] = 4
    # Replicas of one name share the symbols; instances that share a Kafka need names of their own.
    collector_group: str = Field("data-collector", min_length=1)
    # After so long a killed replica is missed; not below the broker's group.min.session.timeout.ms.
    collector_session_s: Annotated[float, Field(ge=1, le=300)] = 6.0
    spool_dir: Path = Path("spool")  # each replica has a directory of its own in it
    spool_fsync: Literal["always", "interval", "never"] = "interval"
    spool_fsync_interval_s: Seconds = 1.0
    spool_max_bytes: Annotated[int, Field(ge=1 << 20)] = 512 << 20
    spool_segment_bytes: Annotated[int, Field(ge=1 << 12)] = 4 << 20
    stale_after_s: Seconds = 60.0
    max_ahead_s: Seconds = 10.0  # event time ahead of ours: beyond this a clock is wrong
    jump_sigmas: Seconds = 30.0  # multiples of the recent volatility
    jump_floor: Annotated[float, Field(gt=0, lt=1)] = 0.02  # never refuse smaller relative jumps
    jump_confirmations: Annotated[int, Field(ge=1)] = 3  # in a row at a new level: it is real

    @field_validator("exchanges", mode="before")
    @classmethod
    def _split_exchanges(cls, value: object) -> object:
        return split_commas(value)

    @field_validator("exchanges")
    @classmethod
    def _known_exchanges(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in ADAPTERS]
        if unknown or not value or len(set(value)) != len(value):
            raise ValueError(f"give each at most once, from: {', '.join(ADAPTERS)}")
        return value

    @field_validator("symbols")
    @classmethod
    def _some_symbols(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("give at least one symbol, each once, for example BTC-USD,ETH-USD")
        return value

    @model_validator(mode="after")
    def _whole_credentials(self) -> "CollectorSettings":
        parts = (self.coinbase_api_key, self.coinbase_api_secret, self.coinbase_api_passphrase)
        if any(parts) and not all(parts):
            raise ValueError(
                "give COINBASE_API_KEY, COINBASE_API_SECRET and COINBASE_API_PASSPHRASE, or none"
            )
        self.credentials("coinbase", SystemClock())
        return self

    @model_validator(mode="after")
    def _limits_allow_the_symbols(self) -> "CollectorSettings":
        if not self.usable_exchanges:
            raise ValueError(
                f"{len(self.symbols)} symbols each {self.poll_interval_s} s are more than any of "
                f"{', '.join(self.exchanges)} allows: take COLLECTOR_MODE=stream, fewer SYMBOLS, "
                "or a longer POLL_INTERVAL_S"
            )
        return self

    @property
    def usable_exchanges(self) -> tuple[str, ...]:
        """Return those of ``exchanges``, in order, that may be asked so much."""
        if self.collector_mode == "stream":
            return self.exchanges
        return tuple(name for name in self.exchanges if self.plan(name) is not None)

    def plan(self, venue: str) -> tuple[Request, ...] | None:
        """Return the requests for each poll of ``venue``; None if they are more than it allows."""
        budget_s = self.poll_interval_s * self.rate_limit_factor
        return ADAPTERS[venue].plan(self.symbols, budget_s)

    def rest_url(self, venue: str) -> str:
        """Return where ``venue`` answers, without a slash at the end."""
        return str(getattr(self, f"{venue}_rest_url")).rstrip("/")

    def ws_url(self, venue: str) -> str:
        """Return where ``venue`` streams, without a slash at the end."""
        return str(getattr(self, f"{venue}_ws_url")).rstrip("/")

    def credentials(self, venue: str, clock: Clock) -> httpx.Auth | None:
        """Return what requests to ``venue`` are signed with, if anything."""
        if venue == "binance" and self.binance_api_key:
            return BinanceKey(self.binance_api_key.get_secret_value())
        parts = (self.coinbase_api_key, self.coinbase_api_secret, self.coinbase_api_passphrase)
        given = [part.get_secret_value() for part in parts if part]
        if venue == "coinbase" and len(given) == len(parts):
            key, secret, passphrase = given
            try:
                return CoinbaseKey(key, secret, passphrase, clock)
            except ValueError as error:
                raise ValueError(f"COINBASE_API_SECRET: {error}") from error
        return None


def load_collector_settings() -> CollectorSettings:
    """Read the environment, and the file that ``CREDENTIALS_FILE`` names, if it is there.

    Raises `ConfigurationError`, also where others than its owner may read the file.
    """
    path = Path(os.environ.get("CREDENTIALS_FILE") or os.devnull)
    if path.is_file() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(
            f"CREDENTIALS_FILE {path} can be read by others than its owner; type: chmod 600 {path}"
        )
    return load_settings(CollectorSettings, path if path.is_file() else None)
