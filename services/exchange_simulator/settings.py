"""What the simulator is told by its environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from common.settings import Port, ServiceSettings
from exchange_simulator.instruments import INSTRUMENTS

__all__ = ["SimulatorSettings"]


class SimulatorSettings(ServiceSettings):
    """``REPLAY_FILE`` empty means the seeded price process.

    ``REPLAY_SPEED`` also speeds the price process up; what is served is always stamped with the
    present. ``SIMULATOR_RATE_LIMIT_FACTOR`` multiplies the documented limits; 0 lifts them.
    """

    service_name: str = "exchange-simulator"
    simulator_host: str = "127.0.0.1"
    simulator_port: Port = 5050
    simulator_seed: Annotated[int, Field(ge=0)] = 1
    simulator_rate_limit_factor: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    replay_file: Path | None = None
    replay_speed: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] = 1.0
    faults_file: Path | None = None
    ledger_file: Path | None = None  # gets a line for each answer that was delivered

    @model_validator(mode="after")
    def _symbols_are_known(self) -> "SimulatorSettings":
        unknown = [symbol for symbol in self.symbols if symbol not in INSTRUMENTS]
        if unknown:
            known = ", ".join(INSTRUMENTS)
            raise ValueError(f"SYMBOLS: no such market: {', '.join(unknown)}; known: {known}")
        return self
