"""What training gives to the forecaster: a network, and where the regression of the mean begins."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bitcoin_forecast_app.distribution import Array
from bitcoin_forecast_app.errors import ArtefactError
from bitcoin_forecast_app.mean import OnlineMean
from bitcoin_forecast_app.network import WEIGHT_SHAPES, Network

__all__ = ["NO_MODEL", "Model"]

NO_MODEL: Final = "online-only"  # the version under which forecasts without a trained model go


@dataclass(frozen=True)
class Model:
    """Immutable once made, so that all symbols share it."""

    version: str
    network: Network
    mean_normal: Array
    mean_moment: Array

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything but the version, by name."""
        return {
            **self.network.weights,
            "mean_normal": self.mean_normal,
            "mean_moment": self.mean_moment,
        }

    @classmethod
    def from_arrays(cls, version: str, arrays: dict[str, NDArray[Any]]) -> "Model":
        """Return the model of which `arrays` were.

        Raises `ArtefactError` where one is missing, of another shape, or not finite.
        """
        empty = OnlineMean()
        shapes = WEIGHT_SHAPES | {
            "mean_normal": empty.normal.shape,
            "mean_moment": empty.moment.shape,
        }
        for name, shape in shapes.items():
            if name not in arrays or arrays[name].shape != shape:
                raise ArtefactError(f"{version}: {name} is not {shape}: made by another version")
            if not np.isfinite(arrays[name]).all():
                raise ArtefactError(f"{version}: {name} holds values that are not finite")
        network = Network({name: np.asarray(arrays[name], np.float32) for name in WEIGHT_SHAPES})
        return cls(
            version=version,
            network=network,
            mean_normal=np.asarray(arrays["mean_normal"], np.float64),
            mean_moment=np.asarray(arrays["mean_moment"], np.float64),
        )
