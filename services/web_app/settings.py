"""Settings of the web application."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from common.settings import Port, ServingSettings
from web_app.guard import TOKEN_LENGTH

__all__ = ["REQUEST_THREADS", "WebSettings"]

REQUEST_THREADS = 32  # kept free for requests, however many streams are open


class WebSettings(ServingSettings):
    """What the web application is told besides what every service is."""

    service_name: str = "web-app"
    database_url: str
    web_port: Port = 5001
    frontend_dir: Path | None = None  # has node_modules/
    web_max_streams: Annotated[int, Field(ge=1, le=4096)] = 500
    # Asked of everyone, if one of them is there.
    web_token: Annotated[str, Field(min_length=TOKEN_LENGTH)] | None = None
    web_token_file: Path | None = None
    web_rate_limit: Annotated[float, Field(ge=0, le=100_000)] = (
        200.0  # requests/s of a client; 0: no
    )
    web_history_s: Annotated[int, Field(ge=60, le=3600)] = 900  # replayable from memory

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        try:
            backend = make_url(value).get_backend_name()
        except ArgumentError as error:
            raise ValueError(f"{error}; type sqlite:///FILE or postgresql+psycopg://...") from error
        if backend not in ("sqlite", "postgresql"):
            raise ValueError(
                f"unknown database {backend!r}; type sqlite:/// or postgresql+psycopg:"
            )
        return value

    @field_validator("symbols")
    @classmethod
    def _some_symbol(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one symbol, for example BTC-USD")
        return value

    @property
    def vendor_dir(self) -> Path:
        """Return the folder with the packages that npm installed; it may be missing."""
        return (self.frontend_dir or Path(__file__).parent / "frontend") / "node_modules"
