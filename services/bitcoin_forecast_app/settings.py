"""Settings of the forecaster, from the environment."""

from pathlib import Path

from pydantic import Field, field_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from common.settings import ServiceSettings

__all__ = ["ForecastSettings"]

_DIALECTS = ("sqlite", "postgresql")


class ForecastSettings(ServiceSettings):
    """What the forecaster is told besides what every service is told."""

    service_name: str = "bitcoin-forecast-app"
    database_url: str
    model_dir: Path
    leader_lock_file: Path
    train_interval_s: float = Field(900.0, gt=0)
    train_min_ticks: int = Field(600, ge=300)  # fewer rows than this teach nothing
    train_enabled: bool = True
    retention_ticks_days: float = Field(30.0, ge=0)  # 0: for good
    retention_predictions_days: float = Field(7.0, ge=0)  # and their scores; 0: for good

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        try:
            dialect = make_url(value).get_backend_name()
        except ArgumentError as error:
            raise ValueError("no database address; for example sqlite:////path/to/file") from error
        if dialect not in _DIALECTS:
            raise ValueError(f"{dialect} is not supported; use sqlite or postgresql")
        return value
