"""``python -m benchmarks``: measure, print a row as each is known, and the table at the end."""

import sys
from itertools import chain

from benchmarks import collector, lifecycle
from benchmarks.table import render


def main() -> int:
    """Return 0 when every aim was met, else 1."""
    rows = []
    for row in chain(lifecycle.measure(), collector.measure()):
        rows.append(row)
        print(f"{row.what}: {row.measured:.2f} {row.unit} (floor {row.floor:.2f})", flush=True)
    print()
    print(render(rows))
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
