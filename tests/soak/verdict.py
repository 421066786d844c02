"""The books compared: what was served, taken, published and stored."""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kafka import TopicPartition
from sqlalchemy import Connection, Engine, func, select
from tests.soak.plan import SYMBOLS
from tests.soak.served import Served
from tests.soak.stage import PRICES, Happening
from tests.support.kafka_cluster import TOPICS

from common.errors import InvalidMessageError
from common.kafka import make_consumer
from common.store.rebuild import compare_bars
from common.store.schema import BARS, ticks
from common.store.tick_row import TickRow, to_row
from common.wire import DeadLetter, Tick, decode
from data_collector.spool import Entry, Kind

__all__ = ["Line", "Taken", "Verdict", "judge", "read_topics", "stored_ticks"]

Key = tuple[str, int]  # symbol, sequence
_UNFINISHED_US = 3_000_000  # a poll may wait so long for its answers
_TAKE_OVER_US = 12_000_000
_BEGIN_US, _END_US = 10_000_000, 2_000_000  # while the group forms, and while it leaves


class Line(NamedTuple):
    """One line of the printed table; ``ok`` is None where nothing is asked of it."""

    what: str
    number: int
    ok: bool | None = None


@dataclass
class Verdict:
    """The table; `failed` names the lines that are wrong."""

    lines: list[Line] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[str]:
        """Return the lines of which something is asked that is not so."""
        return [line.what for line in self.lines if line.ok is False]

    def render(self) -> str:
        """Return the table, and what is known of mismatches."""
        marks = {True: "yes", False: "NO", None: ""}
        rows = [
            f"| {line.what:<66} | {line.number:>10,} | {marks[line.ok]:<3} |" for line in self.lines
        ]
        head = [f"| {'ledger':<66} | {'count':>10} | ok  |", f"|{'-' * 68}|{'-' * 11}:|{'-' * 5}|"]
        return "\n".join([*head, *rows, *self.details])


@dataclass
class Taken:
    """The journal's sums: what collectors have put into their spools."""

    ticks: dict[Key, list[int]] = field(default_factory=dict)  # hashes of the contents
    letters: Counter[int] = field(default_factory=Counter)
    records: int = 0
    unserved: int = 0

    def add(self, entry: Entry) -> None:
        """Count a record."""
        self.records += 1
        if entry.kind is Kind.DEAD_LETTER:
            self.letters[hash(entry.value)] += 1
            return
        row = to_row(decode(entry.value, Tick))
        contents = self.ticks.setdefault((sys.intern(row.symbol), row.sequence), [])
        if hash(row) not in contents:
            contents.append(hash(row))


@dataclass
class Topics:
    """What is in Kafka at the end."""

    ticks: int = 0
    first: dict[Key, int] = field(default_factory=dict)
    invalid: set[str] = field(default_factory=set)  # origins
    letters: Counter[int] = field(default_factory=Counter)
    origins: Counter[str] = field(default_factory=Counter)  # of letters by the forecaster


def read_topics(bootstrap: str) -> Topics:
    """Return what the topics of prices and of dead letters hold."""
    found = Topics()
    for record in _records(bootstrap, PRICES):
        try:
            row = to_row(decode(record.value or b"", Tick))
        except InvalidMessageError:
            found.invalid.add(f"{record.topic}/{record.partition}/{record.offset}")
            continue
        found.ticks += 1
        found.first.setdefault((sys.intern(row.symbol), row.sequence), hash(row))
    for record in _records(bootstrap, TOPICS[2]):
        letter = decode(record.value, DeadLetter)
        if letter.origin.startswith(f"{PRICES}/"):
            found.origins[letter.origin] += 1
        else:
            found.letters[hash(record.value)] += 1
    return found


def _records(bootstrap: str, topic: str) -> Iterator[Any]:
    consumer = make_consumer([bootstrap], "soak")
    try:
        places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        consumer.seek_to_beginning(*places)
        while any(consumer.position(place) < end for place, end in ends.items()):
            for records in consumer.poll(1_000).values():
                yield from records
    finally:
        consumer.close()


def stored_ticks(connection: Connection) -> Iterator[TickRow]:
    """Yield what is stored."""
    rows = connection.execution_options(yield_per=5_000).execute(select(ticks))
    for row in rows:
        yield TickRow._make(row)


def judge(
    served: Served,
    taken: Taken,
    topics: Topics,
    engine: Engine,
    happened: Sequence[Happening],
    logs: Sequence[Path],
    interval_us: int,
    rubbish: int,
) -> Verdict:
    """Return the table of the whole run."""
    verdict = Verdict()
    add = verdict.lines.append
    add(Line("answers served without an error", served.answers))
    add(Line("  of them distorted by a fault (absurd, malformed)", served.distorted))
    add(Line("refusals served (429, 418, 451, 403, 5xx)", served.refusals))
    add(Line("valid market data served (one market in one answer)", served.valid))
    add(Line("ticks taken: whole in a spool, from then on owed", len(taken.ticks)))
    with engine.connect() as connection:
        _judge_store(verdict, served, taken, connection)
        wrong = list(compare_bars(connection))
        verdict.details += wrong[:10]
        for width_us, table in BARS.items():
            add(Line(f"bars of {width_us // 1_000_000:,} s", _count(connection, table)))
            add(Line("  whose sums differ from the ticks'", *_sums(connection, width_us, table)))
        add(Line("bars unlike a recomputation", len(wrong), ok=not wrong))
    repeated = topics.ticks - len(topics.first)
    add(Line("ticks in Kafka, repeats by key included", topics.ticks))
    add(Line("  repeats, which the store has removed", repeated))
    _judge_letters(verdict, taken, topics, rubbish)
    slots = _Slots(taken, happened, logs, interval_us)
    add(Line("seconds of the schedule x symbols", slots.planned))
    add(Line("  not collected, and said so in the log", slots.admitted))
    add(Line("  not collected, as the collector had just been killed", slots.excused))
    add(Line("  not collected without a word", len(slots.silent), ok=not slots.silent))
    verdict.details += [f"without a word: {key}" for key in slots.silent[:10]]
    return verdict


def _judge_store(verdict: Verdict, served: Served, taken: Taken, connection: Connection) -> None:
    add = verdict.lines.append
    stored = altered = unserved = distorted = unowed = 0
    missing = set(taken.ticks)
    for row in stored_ticks(connection):
        stored += 1
        contents = taken.ticks.get((row.symbol, row.sequence))
        if contents is None:
            unowed += 1
        else:
            missing.discard((row.symbol, row.sequence))
            altered += hash(row) not in contents
        book = hash((row.venue, row.symbol, row.bid, row.bid_size, row.ask, row.ask_size))
        last = hash((row.venue, row.symbol, row.price, row.size))
        good = book in served.books and last in served.lasts
        unserved += not good
        distorted += not good and book in served.wrong_books
    exactly = stored - unowed - altered
    add(Line("ticks stored exactly once", exactly, ok=exactly == len(taken.ticks) and exactly > 0))
    add(Line("  missing", len(missing), ok=not missing))
    add(Line("  stored, but never taken", unowed, ok=unowed == 0))
    add(Line("  stored otherwise than taken", altered, ok=altered == 0))
    add(Line("  with a text that was never served", unserved, ok=unserved == 0))
    add(Line("  from an answer distorted by a fault", distorted, ok=distorted == 0))
    verdict.details += [f"missing: {key}" for key in sorted(missing)[:10]]


def _judge_letters(verdict: Verdict, taken: Taken, topics: Topics, rubbish: int) -> None:
    add = verdict.lines.append
    lost = sum((taken.letters - topics.letters).values())
    unknown = len(topics.letters.keys() - taken.letters.keys())
    repeats = sum((topics.letters - taken.letters).values())
    add(Line("invalid answers refused by a collector", sum(taken.letters.values())))
    add(Line("  missing in the dead-letter topic", lost, ok=lost == 0))
    add(Line("  there, but never refused", unknown, ok=unknown == 0))
    add(Line("  repeats there (at least once)", repeats))
    found = len(topics.invalid)
    add(Line("rubbish put into the topic of prices", found, ok=found == rubbish))
    lost = len(topics.invalid - topics.origins.keys())
    add(Line("  missing in the dead-letter topic", lost, ok=lost == 0))
    unknown = len(topics.origins.keys() - topics.invalid)
    add(Line("  valid ticks there", unknown, ok=unknown == 0))


def _count(connection: Connection, table: Any) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def _sums(connection: Connection, width_us: int, table: Any) -> tuple[int, bool]:
    """Return how many bars differ from what SQL makes of the ticks: count, highest, lowest."""
    start = ticks.c.sequence - ticks.c.sequence % width_us
    made = connection.execute(
        select(
            ticks.c.symbol,
            start,
            func.count(),
            func.max(ticks.c.last_price),
            func.min(ticks.c.last_price),
        ).group_by(ticks.c.feed, ticks.c.symbol, start)
    )
    columns = (table.c.symbol, table.c.start, table.c.ticks, table.c.high, table.c.low)
    kept = connection.execute(select(*columns))
    wrong = len(set(map(tuple, made)) ^ set(map(tuple, kept)))
    return wrong, wrong == 0


class _Slots:
    """Each slot of the schedule must have its tick, or a reason."""

    def __init__(
        self,
        taken: Taken,
        happened: Sequence[Happening],
        logs: Sequence[Path],
        interval_us: int,
    ) -> None:
        said = _Admitted(logs, interval_us)
        killed = [each for each in happened if each.what == "collector killed"]
        windows = [(k.from_us - _UNFINISHED_US, k.to_us + _TAKE_OVER_US) for k in killed]
        self.planned = self.admitted = self.excused = 0
        self.silent: list[Key] = []
        every = [sequence for _, sequence in taken.ticks]
        first, last = min(every) + _BEGIN_US, max(every) - _END_US
        for symbol in SYMBOLS:
            for slot in range(first - first % interval_us, last, interval_us):
                self.planned += 1
                if (symbol, slot) in taken.ticks:
                    continue
                if said.of(symbol, slot):
                    self.admitted += 1
                elif any(start <= slot <= end for start, end in windows):
                    self.excused += 1
                else:
                    self.silent.append((symbol, slot))


class _Admitted:
    """The slots of which a collector has said in its log that it has nothing, and why."""

    _SOME = re.compile(r"no exchange gave a valid tick sequence=(\d+) symbols=\[(.*?)\]")
    _ONE = re.compile(r"refused symbol=(\S+) .*reason=out_of_order .*sequence (\d+) comes")
    _OWN = re.compile(r"poll left out.* sequence=(\d+)")
    _OWN_RUN = re.compile(r"polls missed.* polls=(\d+) first=(\d+)")

    def __init__(self, logs: Sequence[Path], interval_us: int) -> None:
        self._single: set[Key] = set()
        self._all: set[int] = set()  # of whatever symbols that collector had
        for log in logs:
            with log.open(errors="replace") as lines:
                for line in lines:
                    self._read(line, interval_us)

    def of(self, symbol: str, slot: int) -> bool:
        """Return whether one has said so."""
        return (symbol, slot) in self._single or slot in self._all

    def _read(self, line: str, interval_us: int) -> None:
        if found := self._SOME.search(line):
            symbols = found[2].replace("'", "").split(", ")
            self._single |= {(symbol, int(found[1])) for symbol in symbols}
        elif found := self._ONE.search(line):
            self._single.add((found[1], int(found[2])))
        elif found := self._OWN.search(line):
            self._all.add(int(found[1]))
        elif found := self._OWN_RUN.search(line):
            first = int(found[2])
            self._all |= {first + k * interval_us for k in range(int(found[1]))}
