"""``python -m benchmarks [PART ...]``: measure, print each row as it is known, and the table."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping

from benchmarks import cluster, collector, forecast, lifecycle, store, web
from benchmarks.table import Row, render

_PARTS: Mapping[str, Callable[[], Iterator[Row]]] = {
    "lifecycle": lifecycle.measure,
    "collector": collector.measure,
    "store": store.measure,
    "forecast": forecast.measure,
    "web": web.measure,
    "cluster": cluster.measure,
}


def main() -> int:
    """Return 0 when every aim was met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("part", nargs="*", help=f"{', '.join(_PARTS)}; all by default")
    wanted = parser.parse_args().part or list(_PARTS)
    if unknown := sorted(set(wanted) - set(_PARTS)):
        parser.error(f"no part {', '.join(unknown)}; type some of: {', '.join(_PARTS)}")
    rows = []
    for part in wanted:
        for row in _PARTS[part]():
            rows.append(row)
            print(f"{row.what}: {row.measured:.2f} {row.unit} (floor {row.floor:.2f})", flush=True)
    print()
    print(render(rows))
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
