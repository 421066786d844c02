"""Measured figures, each beside a floor measured in the same run: ``make bench``."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_SERVICES = str(ROOT / "services")
if _SERVICES not in sys.path:  # ``make`` says where they are; without it nothing else does
    sys.path.insert(1, _SERVICES)
