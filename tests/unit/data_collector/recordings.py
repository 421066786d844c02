"""The recorded answers beside the checkout; a test without them says so and is skipped."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "exchange_fixtures"


def path_of(name: str) -> Path:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"no recordings at {FOLDER}")
    return path


def lines_of(name: str) -> Iterator[str]:
    """Yield the lines of a cryptofeed recording without their time stamps."""
    with gzip.open(path_of(name), "rt") as file:
        for line in file:
            stamp, separator, message = line.strip().partition(": ")
            if separator and stamp.replace(".", "").isdigit():
                yield message


def binance_rest(path: str, symbol: str) -> Any:
    """Return the recorded answer of a Binance route for ``symbol``."""
    with gzip.open(path_of("gct_binance_http.json.gz"), "rt") as file:
        routes = json.load(file)["routes"]
    return next(
        entry["data"] for entry in routes[path]["GET"] if f"symbol={symbol}" in entry["queryString"]
    )
