"""Settings from the environment: frozen, validated at start, every fault reported at once."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from common.errors import ConfigurationError
from common.wire import Feed

__all__ = [
    "CommaSeparated",
    "Port",
    "ServiceSettings",
    "ServingSettings",
    "load_settings",
    "split_commas",
]

CommaSeparated = Annotated[tuple[str, ...], NoDecode]
Port = Annotated[int, Field(ge=0, le=65535)]


class ServiceSettings(BaseSettings):
    """What every service is told; field ``x_y`` is read from the variable ``X_Y``."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    service_name: str = "service"
    slot: int = 0
    instance: str = "default"
    bitcoin_prediction_instance_dir: Path | None = None
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    ops_host: str = "127.0.0.1"
    ops_port: Port = 0  # 0: any free port
    kafka_bootstrap_servers: CommaSeparated = ("127.0.0.1:9092",)
    symbols: CommaSeparated = ("BTC-USD",)
    feed: Feed = "live"
    topic_prices: str = "bitcoin-prices"
    topic_predictions: str = "bitcoin-predictions"
    topic_dlq: str = "bitcoin-prices-dlq"

    @field_validator("kafka_bootstrap_servers", "symbols", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return split_commas(value)


class ServingSettings(ServiceSettings):
    """What a service is told besides that serves people."""

    web_host: str = "127.0.0.1"
    web_port: Port
    listen_fd: Annotated[int, Field(ge=0)] | None = None  # a listening socket that we inherit

    @property
    def bind(self) -> str:
        """Return the address in gunicorn's form."""
        if self.listen_fd is not None:
            return f"fd://{self.listen_fd}"
        return f"{self.web_host}:{self.web_port}"


def split_commas(value: object) -> object:
    """Return the non-empty parts of a comma-separated string; other values unchanged."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


SettingsType = TypeVar("SettingsType", bound=ServiceSettings)


def load_settings(kind: type[SettingsType], file: Path | None = None) -> SettingsType:
    """Read ``kind`` from the environment, and from ``file`` (``NAME=value``) what is not there.

    Raises `ConfigurationError` whose message names every variable that is wrong and why.
    """
    try:
        return kind(_env_file=file)
    except ValidationError as error:
        faults = [
            f"{'_'.join(map(str, fault['loc'])).upper() or kind.__name__}: {fault['msg']}"
            + _given(fault["loc"], fault["input"])
            for fault in error.errors(include_url=False)
        ]
        raise ConfigurationError("wrong settings:\n  " + "\n  ".join(faults)) from error


def _given(names: tuple[int | str, ...], value: object) -> str:
    """Return what was given, unless it is all there is, or secret."""
    secret = any(str(name).endswith(("key", "secret", "passphrase", "token")) for name in names)
    secret = secret or "@" in str(value)  # an address with a password in it
    return "" if secret or not names else f" (got {value!r})"
