"""Requests to this machine, which no proxy of the environment can pass on."""

from __future__ import annotations

import urllib.request
from typing import Any

_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url: str, timeout_s: float) -> Any:
    """Return the open response; raises what `urllib.request.urlopen` does."""
    return _DIRECTLY.open(url, timeout=timeout_s)
