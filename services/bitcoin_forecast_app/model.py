"""What training gives to the forecaster: a network, and where the online learners begin."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bitcoin_forecast_app.errors import ArtefactError
from bitcoin_forecast_app.network import WEIGHT_SHAPES, Network
from bitcoin_forecast_app.start import Start

__all__ = ["NO_MODEL", "Model"]

NO_MODEL: Final = "online-only"  # the version under which forecasts without a trained model go


@dataclass(frozen=True)
class Model:
    """Immutable once made, so that all symbols share it."""

    version: str
    network: Network
    start: Start

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything but the version, by name."""
        return {**self.network.weights, **self.start.arrays()}

    @classmethod
    def from_arrays(cls, version: str, arrays: dict[str, NDArray[Any]]) -> "Model":
        """Return the model of which `arrays` were.

        Raises `ArtefactError` where one is missing, of another shape, or not finite.
        """
        begin = {name: array.shape for name, array in Start.empty().arrays().items()}
        for name, shape in {**WEIGHT_SHAPES, **begin}.items():
            if name not in arrays or arrays[name].shape != shape:
                raise ArtefactError(f"{version}: {name} is not {shape}: made by another version")
            if not np.isfinite(arrays[name]).all():
                raise ArtefactError(f"{version}: {name} holds values that are not finite")
        network = Network({name: np.asarray(arrays[name], np.float32) for name in WEIGHT_SHAPES})
        start = Start(**{name: np.asarray(arrays[name], np.float64) for name in begin})
        return cls(version, network, start)
