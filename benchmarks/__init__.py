"""Measured figures, each beside a floor measured in the same run: ``make bench``."""

import sys
from pathlib import Path

_SERVICES = str(Path(__file__).parents[1] / "services")
if _SERVICES not in sys.path:  # ``make`` says where they are; without it nothing else does
    sys.path.insert(1, _SERVICES)
