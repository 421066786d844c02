"""Standard error without what libraries in C++ write there, whatever they are told."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["quietly"]

_STDERR: Final = 2


@contextmanager
def quietly() -> Iterator[None]:
    """Drop everything that the process writes to standard error; an exception is still raised."""
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
