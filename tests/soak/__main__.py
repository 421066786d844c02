"""``python -m tests.soak``: a simulated day at speed with faults of every kind, and its ledger.

Prints what happens, and a table at the end; the exit code is 1 where anything does not add up.
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.soak.plan import draw
from tests.soak.run import soak
from tests.support.postgres import fresh_database, running_postgres


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1_350.0, help="at least")
    parser.add_argument("--rounds", type=int, default=4, help="of each fault of a process")
    parser.add_argument("--exchange-rounds", type=int, default=3, help="of each fault of exchanges")
    parser.add_argument("--interval", type=float, default=0.015, help="seconds between two polls")
    parser.add_argument("--ticks", type=int, default=500_000, help="at least")
    parser.add_argument("--postgres", action="store_true", help="store in PostgreSQL, not SQLite")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work there, and leave all of it")
    options = parser.parse_args()
    plan = draw(
        options.seed,
        rounds=options.rounds,
        exchange_rounds=options.exchange_rounds,
        least_s=options.seconds,
    )
    print(
        f"{plan.seconds:.0f} s, {plan.faults} faults: {len(plan.events)} of processes, "
        f"{len(plan.exchange)} of exchanges; seed {options.seed}",
        flush=True,
    )
    began = time.monotonic()
    with ExitStack() as stack:
        folder = options.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="soak"))
        )
        folder.mkdir(parents=True, exist_ok=True)
        url = None
        if options.postgres:
            url = stack.enter_context(fresh_database(stack.enter_context(running_postgres())))
        verdict = soak(
            folder,
            plan,
            options.interval,
            options.seed,
            lambda text: print(text, flush=True),
            url,
            options.ticks,
        )
    print(f"\n{verdict.render()}\n\n{time.monotonic() - began:.0f} s in all")
    print(f"FAILED: {', '.join(verdict.failed)}" if verdict.failed else "everything adds up")
    return 1 if verdict.failed else 0


if __name__ == "__main__":
    sys.exit(main())
