"""Write models that correct nothing, put each in service: ``promote.py MODEL_DIR VERSION...``."""

import sys
from pathlib import Path

import numpy as np

from bitcoin_forecast_app.model import Model
from bitcoin_forecast_app.network import WEIGHT_SHAPES, Network
from bitcoin_forecast_app.registry import Registry
from bitcoin_forecast_app.start import Start

registry = Registry(Path(sys.argv[1]), "simulated")
network = Network({name: np.zeros(shape, np.float32) for name, shape in WEIGHT_SHAPES.items()})
for version in sys.argv[2:]:
    manifest = {"version": version, "promoted": True, "rows": 600, "reason": "promoted: a test"}
    registry.save(Model(version, network, Start.empty()), manifest)
    registry.switch(version)
