"""The spool against a list in memory, through any sequence of uses, restarts and cut files."""

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.unit.data_collector.conftest import FakeClock

from data_collector.spool import Entry, Kind, Position, Spool, SpoolOptions


class SpoolModel(RuleBasedStateMachine):
    """``entries`` are those that must still be delivered; bounds drop from their front."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.number = 0
        self.entries: list[Entry] = []
        self.open()

    def open(self) -> None:
        options = SpoolOptions(self.directory, max_bytes=1200, segment_bytes=150)
        self.spool = Spool(options, FakeClock())

    @rule(count=st.integers(1, 4), size=st.integers(0, 40))
    def append(self, count: int, size: int) -> None:
        new = [
            Entry(Kind.TICK, b"k", b"%d:" % (self.number + n) + b"x" * size) for n in range(count)
        ]
        self.number += count
        self.spool.append(*new)
        self.entries += new

    @rule(count=st.integers(1, 10))
    def deliver(self, count: int) -> None:
        found = self.spool.read(self.spool.cursor, count)
        self.spool.acknowledge([record.end for record in found])
        self.entries = self.entries[len(found) :]

    @rule(count=st.integers(1, 10), more=st.integers(0, 30))
    def deliver_late(self, count: int, more: int) -> None:
        """Acknowledge what was sent before others came, and perhaps dropped it."""
        ends = [record.end for record in self.spool.read(self.spool.cursor, count)]
        sent = self.entries[: len(ends)]
        for _ in range(more):
            self.append(1, 5)
        self.settle_bound()
        self.spool.acknowledge(ends)
        self.entries = [entry for entry in self.entries if entry not in sent]

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.open()

    @rule(lost=st.integers(1, 60))
    def cut_by_a_crash(self, lost: int) -> None:
        """Lose the end of the newest file: only what was in it, and whole records only."""
        before = self.spool.end
        ends = [record.end for record in self.spool.read(Position(0, 0), 10_000)]
        cursor = self.spool.cursor
        self.spool.close()
        path = self.directory / f"{before.segment:012d}.segment"
        size = max(0, path.stat().st_size - lost)
        os.truncate(path, size)
        gone = [end for end in ends if end.segment == before.segment and end.offset > size]
        unsent = [end for end in gone if end > cursor]
        self.entries = self.entries[: len(self.entries) - len(unsent)]
        self.open()

    def settle_bound(self) -> None:
        """Forget what the bound has dropped, which must be the oldest."""
        left = [record.entry for record in self.spool.read(self.spool.cursor, 10_000)]
        assert left == self.entries[len(self.entries) - len(left) :]
        assert self.spool.size <= 1200
        self.entries = left

    @invariant()
    def is_as_told(self) -> None:
        if self.spool.size > 1000:
            self.settle_bound()
        left = [record.entry for record in self.spool.read(self.spool.cursor, 10_000)]
        dropped = len(self.entries) - len(left)
        assert left == self.entries[dropped:]
        assert not dropped or self.spool.size > 500  # only a full spool drops
        self.entries = left
        assert self.spool.pending == len(left)

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.directory)


TestSpoolModel = SpoolModel.TestCase
TestSpoolModel.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
