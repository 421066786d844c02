"""The soak run's judge: what does not add up is told."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, update
from tests.soak.journal import Journal
from tests.soak.served import Served, read_ledger
from tests.soak.stage import Happening
from tests.soak.verdict import Taken, Topics, Verdict, judge

from common.clock import SystemClock, from_micros
from common.store import make_engine, upgrade_schema
from common.store.schema import BARS, ticks
from common.store.tick_row import to_row
from common.store.writer import save_ticks
from common.wire import Tick, encode
from data_collector.spool import Entry, Kind, Spool, SpoolOptions

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "ADA-USD", "DOGE-USD", "LTC-USD", "LINK-USD")
BASE, STEP, SLOTS = 1_767_225_600_000_000, 1_000_000, 30


def tick(symbol: str, slot: int) -> Tick:
    moment = from_micros(BASE + slot * STEP)
    price = Decimal(f"{100 + slot}.50")
    return Tick(
        symbol=symbol,
        venue="kraken",
        feed="simulated",
        sequence=BASE + slot * STEP,
        event_time=moment,
        receive_time=moment,
        price=price,
        size=Decimal("0.10"),
        bid=price,
        bid_size=Decimal(1),
        ask=price,
        ask_size=Decimal(2),
    )


@dataclass
class Books:
    engine: Engine
    log: Path
    served: Served = field(default_factory=Served)
    taken: Taken = field(default_factory=Taken)
    topics: Topics = field(default_factory=Topics)
    happened: list[Happening] = field(default_factory=list)

    def judge(self) -> Verdict:
        return judge(
            self.served,
            self.taken,
            self.topics,
            self.engine,
            self.happened,
            [self.log],
            STEP,
            rubbish=0,
        )


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    """Books that agree."""
    engine = make_engine(f"sqlite:///{tmp_path}/store.sqlite3")
    upgrade_schema(engine)
    (tmp_path / "log").touch()
    found = Books(engine, tmp_path / "log")
    every = [tick(symbol, slot) for symbol in SYMBOLS for slot in range(SLOTS)]
    for each in every:
        row = to_row(each)
        found.taken.add(Entry(Kind.TICK, each.symbol.encode(), encode(each)))
        place = (row.venue, row.symbol)
        found.served.books.add(hash((*place, row.bid, row.bid_size, row.ask, row.ask_size)))
        found.served.lasts.add(hash((*place, row.price, row.size)))
    with engine.begin() as connection:
        save_ticks(connection, every)
    yield found
    engine.dispose()


def test_books_that_agree(books: Books) -> None:
    verdict = books.judge()
    assert verdict.failed == [], verdict.render()
    assert "ticks stored exactly once" in verdict.render()


def lose_a_tick(books: Books) -> None:
    with books.engine.begin() as connection:
        connection.execute(delete(ticks).where(ticks.c.sequence == BASE + 15 * STEP))


def alter_a_tick(books: Books) -> None:
    with books.engine.begin() as connection:
        changed = update(ticks).where(ticks.c.sequence == BASE + 15 * STEP).values(trade_id="x")
        connection.execute(changed)


def invent_a_tick(books: Books) -> None:
    with books.engine.begin() as connection:
        save_ticks(connection, [tick("BTC-USD", SLOTS)])


def serve_something_else(books: Books) -> None:
    books.served.books.clear()


def spoil_a_bar(books: Books) -> None:
    with books.engine.begin() as connection:
        connection.execute(update(BARS[60_000_000]).values(close=1.0))


def lose_a_dead_letter(books: Books) -> None:
    books.taken.add(Entry(Kind.DEAD_LETTER, b"", b"letter"))


def invent_a_dead_letter(books: Books) -> None:
    books.topics.letters[1] += 1


def lose_rubbish(books: Books) -> None:
    books.topics.invalid.add("bitcoin-prices/0/1")


def skip_a_slot(books: Books) -> None:
    del books.taken.ticks["BTC-USD", BASE + 15 * STEP]
    with books.engine.begin() as connection:
        own = (ticks.c.symbol == "BTC-USD", ticks.c.sequence == BASE + 15 * STEP)
        connection.execute(delete(ticks).where(*own))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lose_a_tick, "  missing"),
        (alter_a_tick, "  stored otherwise than taken"),
        (invent_a_tick, "  stored, but never taken"),
        (serve_something_else, "  with a text that was never served"),
        (spoil_a_bar, "bars unlike a recomputation"),
        (lose_a_dead_letter, "  missing in the dead-letter topic"),
        (invent_a_dead_letter, "  there, but never refused"),
        (lose_rubbish, "  missing in the dead-letter topic"),
        (skip_a_slot, "  not collected without a word"),
    ],
)
def test_what_does_not_add_up_is_told(
    books: Books, spoil: Callable[[Books], None], line: str
) -> None:
    spoil(books)
    assert line in books.judge().failed


def test_a_slot_may_be_missing_with_a_reason(books: Books) -> None:
    skip_a_slot(books)
    slot = BASE + 15 * STEP
    said = f"no exchange gave a valid tick sequence={slot} symbols=['ETH-USD', 'BTC-USD']"
    books.log.write_text(f"x WARNING {said}\n")
    assert "  not collected without a word" not in books.judge().failed
    books.log.write_text("")
    books.happened.append(Happening("collector killed", slot - STEP, slot))
    assert "  not collected without a word" not in books.judge().failed


def test_the_ledger_is_read_with_the_text_that_was_sent(tmp_path: Path) -> None:
    body = {
        "error": [],
        "result": {
            "XXBTZUSD": {"b": ["1.10", "1", "2.00"], "a": ["1.20", "1", "3"], "c": ["1.15", "9"]}
        },
    }
    line = {"venue": "kraken", "path": "/kraken/0/public/Ticker?pair=XBTUSD", "status": 200}
    texts = [
        json.dumps({**line, "faults": [], "body": json.dumps(body)}),
        json.dumps({**line, "faults": ["malformed"], "body": "{"}),
        json.dumps({**line, "faults": ["banned"], "status": 418, "body": "{}"}),
    ]
    (tmp_path / "ledger").write_text("\n".join(texts) + '\n{"not whole')
    served = read_ledger(tmp_path / "ledger")
    assert (served.answers, served.distorted, served.refusals, served.valid) == (2, 1, 1, 1)
    assert served.books == {hash(("kraken", "BTC-USD", "1.10", "2.00", "1.20", "3"))}
    assert served.lasts == {hash(("kraken", "BTC-USD", "1.15", "9"))}


def test_the_journal_has_every_record_whatever_is_deleted(tmp_path: Path) -> None:
    found: list[bytes] = []
    journal = Journal(tmp_path, lambda entry: found.append(entry.value))
    journal.start()
    options = SpoolOptions(tmp_path / "0", segment_bytes=1 << 12)
    spool = Spool(options, SystemClock())
    sent = [str(number).encode() * 100 for number in range(100, 200)]
    for value in sent:  # a segment is there for a sixth of a second
        spool.append(Entry(Kind.TICK, b"k", value))
        spool.acknowledge([record.end for record in spool.read(spool.cursor, 10)])
        time.sleep(0.012)
    spool.close()
    assert len(list(tmp_path.glob("*/*.segment"))) < len(sent) * 300 // (1 << 12)
    journal.stop()
    assert found == sent
