"""The store's rates, with exactly-once offsets and bars, beside a bare insert of the same rows.

``python -m benchmarks.store``: needs no Kafka; the consumer's part is the decoding of its messages.
PostgreSQL is measured where one is installed.
"""

import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from sqlalchemy import URL
from tests.support.postgres import PostgresUnavailableError, fresh_database, running_postgres

from benchmarks.table import Row, render
from common.clock import from_micros, to_micros
from common.store import make_engine, upgrade_schema
from common.store.writer import load_offsets, save_offset, save_ticks
from common.wire import Tick, decode, encode

__all__ = ["measure"]

_TICKS = 20_000
_SYMBOLS = 8
_BATCH = 256  # what one poll of the forecaster brings when it catches up
_ROUNDS = 3
_AIM = 5_000.0
_START = from_micros(1_767_225_600_000_000)


def messages() -> list[bytes]:
    """Return encoded ticks of several symbols at 1 Hz each, always the same."""
    source = random.Random(5)
    found = []
    for number in range(_TICKS):
        moment = _START + timedelta(seconds=number // _SYMBOLS)
        price = Decimal(source.randrange(6_400_000, 6_500_000)) / 100
        tick = Tick(
            symbol=f"S{number % _SYMBOLS}X-USD",
            venue="kraken",
            feed="simulated",
            sequence=to_micros(moment),
            event_time=moment,
            receive_time=moment,
            price=price,
            size=Decimal("0.5"),
            bid=price - 1,
            bid_size=Decimal("0.25"),
            ask=price + 1,
            ask_size=Decimal("0.75"),
            buy_volume=Decimal(source.randrange(1000)) / 1000,
            sell_volume=Decimal(source.randrange(1000)) / 1000,
        )
        found.append(encode(tick))
    return found


def batches(payloads: list[bytes]) -> Iterator[list[bytes]]:
    """Yield the messages as polls bring them."""
    for start in range(0, len(payloads), _BATCH):
        yield payloads[start : start + _BATCH]


def bare_rate(payloads: list[bytes], folder: Path) -> float:
    """Ticks a second of the bare loop: the same decoding, one table, no bars, no offsets."""
    columns = "feed TEXT, symbol TEXT, sequence INT, price TEXT, bid TEXT, ask TEXT, received INT"
    with closing(sqlite3.connect(folder / "bare.sqlite3")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(
            f"CREATE TABLE t ({columns}, PRIMARY KEY (feed, symbol, sequence)) WITHOUT ROWID"
        )
        start = time.perf_counter()
        for batch in batches(payloads):
            ticks = [decode(payload, Tick) for payload in batch]
            rows = [
                (t.feed, t.symbol, t.sequence, str(t.price), str(t.bid), str(t.ask), t.sequence)
                for t in ticks
            ]
            with connection:
                connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        return len(payloads) / (time.perf_counter() - start)


def store_rate(payloads: list[bytes], url: str) -> float:
    """Ticks a second into the store: ticks, all bars and the offset in one transaction."""
    engine = make_engine(url)
    try:
        upgrade_schema(engine)
        position = 0
        start = time.perf_counter()
        for batch in batches(payloads):
            ticks = [decode(payload, Tick) for payload in batch]
            with engine.begin() as connection:
                save_ticks(connection, ticks)
                save_offset(connection, "g", "t", 0, position + len(batch), position)
            position += len(batch)
        seconds = time.perf_counter() - start
        with engine.connect() as connection:
            assert load_offsets(connection, "g", "t") == {0: len(payloads)}
        return len(payloads) / seconds
    finally:
        engine.dispose()


def measure() -> Iterator[Row]:
    """Yield the rows as they are measured: medians of rounds that take turns with the floor's."""
    payloads = messages()
    floors, rates = [], []
    for _ in range(_ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            floors.append(bare_rate(payloads, Path(name)))
            url = URL.create("sqlite", database=f"{name}/store.sqlite3")
            rates.append(store_rate(payloads, url.render_as_string()))
    floor = statistics.median(floors)
    yield _row("ticks to SQLite, with bars and offsets", statistics.median(rates), floor)
    try:
        with running_postgres() as server:
            rates = []
            for _ in range(_ROUNDS):
                with fresh_database(server) as url_text:
                    rates.append(store_rate(payloads, url_text))
    except PostgresUnavailableError as error:
        print(f"PostgreSQL not measured: {error}")
    else:
        yield _row("ticks to PostgreSQL, with bars and offsets", statistics.median(rates), floor)


def _row(what: str, rate: float, floor: float) -> Row:
    floor_is = "bare sqlite3 insert, one table"
    return Row(what, rate, floor, floor_is, "5,000 ticks/s", "ticks/s", met=rate >= _AIM)


if __name__ == "__main__":
    found = list(measure())
    print(render(found))
    sys.exit(0 if all(row.met for row in found) else 1)
