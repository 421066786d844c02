"""Ask a page again and again until a file appears; print answers and failures as JSON."""

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

_GIVE_UP_S = 120


def main(address: str, stop_file: str) -> None:
    """Ask some hundred times a second."""
    versions: set[int] = set()
    failures: list[str] = []
    asked, deadline = 0, time.monotonic() + _GIVE_UP_S
    while not Path(stop_file).exists() and time.monotonic() < deadline:
        asked += 1
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own page
                versions.add(json.load(answer)["version"])
        except (OSError, ValueError) as error:
            failures.append(str(error))
        time.sleep(0.01)
    json.dump({"asked": asked, "versions": sorted(versions), "failures": failures}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
