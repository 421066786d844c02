"""The spool: order, recovery at any byte, bounds."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.data_collector.conftest import FakeClock

from data_collector.errors import SpoolError
from data_collector.spool import Entry, Kind, Position, Spool, SpoolOptions
from data_collector.spool.records import MAX_BODY

entries = st.lists(
    st.builds(Entry, st.sampled_from(Kind), st.binary(max_size=10), st.binary(max_size=60)),
    max_size=20,
)


def make(directory: Path, segment_bytes: int = 200, max_bytes: int = 1 << 30) -> Spool:
    options = SpoolOptions(directory, max_bytes=max_bytes, segment_bytes=segment_bytes)
    return Spool(options, FakeClock())


def tick(number: int) -> Entry:
    return Entry(Kind.TICK, b"BTC-USD", f"value {number:04d}".encode())


def read_all(spool: Spool) -> list[Entry]:
    return [record.entry for record in spool.read(spool.cursor, 10_000)]


@settings(deadline=None)
@given(written=entries, limit=st.integers(1, 7))
def test_reads_back_in_order_and_resumes_after_the_acknowledged(
    written: list[Entry], limit: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        spool = make(Path(name))
        for entry in written:
            spool.append(entry)
        found = spool.read(spool.cursor, limit)
        assert [record.entry for record in found] == written[:limit]
        if found:
            spool.acknowledge([record.end for record in found])
        assert spool.pending == len(written) - len(found)
        spool.close()
        again = make(Path(name))
        assert read_all(again) == written[limit:]
        assert again.pending == len(written) - len(found)
        again.close()


@settings(deadline=None)
@given(written=entries.filter(bool), data=st.data())
def test_cut_at_any_byte_loses_only_what_was_cut(written: list[Entry], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        spool = make(Path(name), segment_bytes=1 << 20)
        ends = []
        for entry in written:
            spool.append(entry)
            ends.append(spool.size)
        spool.close()
        file = next(Path(name).glob("*.segment"))
        cut = data.draw(st.integers(0, ends[-1]))
        os.truncate(file, cut)
        again = make(Path(name), segment_bytes=1 << 20)
        whole = sum(1 for end in ends if end <= cut)
        assert read_all(again) == written[:whole]
        again.append(tick(1))
        assert read_all(again) == [*written[:whole], tick(1)]
        again.close()


@given(written=entries.filter(bool), data=st.data())
def test_a_changed_byte_never_comes_through(written: list[Entry], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        spool = make(Path(name), segment_bytes=1 << 20)
        for entry in written:
            spool.append(entry)
        spool.close()
        file = next(Path(name).glob("*.segment"))
        content = bytearray(file.read_bytes())
        where = data.draw(st.integers(0, len(content) - 1))
        content[where] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        again = make(Path(name), segment_bytes=1 << 20)
        found = read_all(again)
        assert found == written[: len(found)]
        assert len(found) < len(written)
        again.close()


def test_every_byte_at_which_a_crash_may_end_a_write(tmp_path: Path) -> None:
    """Truncate the newest segment and the cursor's file at each byte: whole records stay."""
    first = tmp_path / "first"
    spool = make(first)
    ends = []
    for number in range(18):
        spool.append(tick(number))
        ends.append(spool.end)
    spool.acknowledge(ends[:8])
    spool.close()
    segments = sorted(first.glob("*.segment"))
    kept = [number for number, end in enumerate(ends) if end.segment < ends[-1].segment]
    for name in (segments[-1].name, "cursor"):
        for cut in range((first / name).stat().st_size + 1):
            copy = tmp_path / f"{name}-{cut}"
            shutil.copytree(first, copy)
            os.truncate(copy / name, cut)
            again = make(copy)
            whole = [n for n, end in enumerate(ends) if end.segment == ends[-1].segment]
            if name != "cursor":
                whole = [n for n in whole if ends[n].offset <= cut]
            unsent = [n for n in (*kept, *whole) if n >= 8]
            found = read_all(again)
            # A damaged cursor sends again what is still there; it hides nothing.
            assert found[-len(unsent) :] == [tick(n) for n in unsent]
            if name != "cursor":
                assert len(found) == len(unsent)
            again.append(tick(99))
            assert read_all(again)[-1] == tick(99)
            assert again.pending == len(found) + 1
            again.close()


def test_acknowledging_what_was_dropped_meanwhile_counts_nothing_twice(tmp_path: Path) -> None:
    spool = make(tmp_path, segment_bytes=200, max_bytes=1000)
    for number in range(20):
        spool.append(tick(number))
    sent = [record.end for record in spool.read(spool.cursor, 100)]
    for number in range(20, 40):
        spool.append(tick(number))
    assert 20 < len(read_all(spool)) < 40  # some of those that were sent are gone
    spool.acknowledge(sent)
    assert read_all(spool) == [tick(number) for number in range(20, 40)]
    assert spool.pending == 20


def test_damage_in_the_middle_is_cut_and_counted(tmp_path: Path) -> None:
    spool = make(tmp_path, segment_bytes=1 << 20)
    for number in range(10):
        spool.append(tick(number))
    (file,) = tmp_path.glob("*.segment")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    found = read_all(spool)
    assert found == [tick(number) for number in range(len(found))]
    assert spool.pending == len(found) < 10
    spool.append(tick(10))
    assert read_all(spool) == [*found, tick(10)]


def test_acknowledged_segments_go_but_the_newest_stays(tmp_path: Path) -> None:
    spool = make(tmp_path)
    for number in range(50):
        spool.append(tick(number))
    records = spool.read(spool.cursor, 100)
    assert len(list(tmp_path.glob("*.segment"))) > 5
    spool.acknowledge([record.end for record in records])
    assert spool.pending == 0
    assert len(list(tmp_path.glob("*.segment"))) == 1
    spool.close()
    assert list(make(tmp_path).newest())[-1] == tick(49)


def test_bounded_by_size_drops_the_oldest_first(tmp_path: Path) -> None:
    spool = make(tmp_path, segment_bytes=200, max_bytes=1000)
    for number in range(100):
        spool.append(tick(number))
        assert spool.size <= 1000
    left = read_all(spool)
    assert left == [tick(number) for number in range(100 - len(left), 100)]
    assert spool.pending == len(left)
    # A reader whose position was dropped goes on with the oldest that is left.
    assert spool.read(Position(0, 30), 1)[0].entry == left[0]


def test_a_cursor_ahead_of_a_cut_file_does_not_hide_what_comes_later(tmp_path: Path) -> None:
    spool = make(tmp_path, segment_bytes=1 << 20)
    for number in range(10):
        spool.append(tick(number))
    records = spool.read(spool.cursor, 100)
    spool.acknowledge([record.end for record in records])
    spool.close()
    os.truncate(next(tmp_path.glob("*.segment")), records[2].end.offset)
    make(tmp_path, segment_bytes=1 << 20).close()
    spool = make(tmp_path, segment_bytes=1 << 20)
    for number in range(20, 30):
        spool.append(tick(number))
    assert read_all(spool) == [tick(number) for number in range(20, 30)]
    spool.close()


def test_a_damaged_cursor_sends_again_rather_than_losing(tmp_path: Path) -> None:
    spool = make(tmp_path)
    spool.append(tick(0))
    spool.acknowledge([spool.read(spool.cursor, 1)[0].end])
    spool.close()
    (tmp_path / "cursor").write_bytes(b"x" * 20)
    assert read_all(make(tmp_path)) == [tick(0)]


def test_large_records_and_refused_ones(tmp_path: Path) -> None:
    spool = make(tmp_path, segment_bytes=1 << 22)
    large = Entry(Kind.DEAD_LETTER, b"", b"x" * 700_000)
    spool.append(large)
    spool.append(tick(1))
    assert read_all(spool) == [large, tick(1)]
    with pytest.raises(ValueError, match="at most"):
        spool.append(Entry(Kind.TICK, b"", b"x" * MAX_BODY))
    with pytest.raises(ValueError, match="at most 255"):
        spool.append(Entry(Kind.TICK, b"k" * 256, b""))


def test_a_directory_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(SpoolError, match="SPOOL_DIR"):
        make(blocker / "spool")
