"""Ask a page until a file appears: ``load.py ADDRESS STOP_FILE PATTERN``.

Prints as JSON how often it was asked, what the pattern's group found, and what failed.
"""

import json
import re
import sys
import time
import urllib.request
from pathlib import Path

_GIVE_UP_S = 300


def main(address: str, stop_file: str, pattern: str) -> None:
    """Ask some hundred times a second, on a new connection each time."""
    versions: set[str] = set()
    failures: list[str] = []
    asked, deadline = 0, time.monotonic() + _GIVE_UP_S
    while not Path(stop_file).exists() and time.monotonic() < deadline:
        asked += 1
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own page
                found = re.findall(pattern, answer.read().decode())
            versions.update(found)
            if not found:
                failures.append("an answer that names no version")
        except (OSError, ValueError) as error:
            failures.append(str(error))
        time.sleep(0.01)
    json.dump({"asked": asked, "versions": sorted(versions), "failures": failures}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
