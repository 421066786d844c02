"""Directories of one process each: claimed, found after a death, adopted, deleted."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.data_collector.conftest import FakeClock

from data_collector.adoption import Adoption
from data_collector.delivery import Delivery, Topics
from data_collector.errors import SpoolError
from data_collector.spool import Entry, Kind, Lease, Spool, SpoolHome, SpoolOptions

ENTRY = Entry(Kind.TICK, b"BTC-USD", b"value")


def open_spool(lease: Lease) -> Spool:
    return Spool(SpoolOptions(lease.directory), FakeClock())


def test_each_process_has_its_own_and_finds_it_again(tmp_path: Path) -> None:
    home = SpoolHome(tmp_path)
    first, second = home.claim(), home.claim()
    assert [first.directory.name, second.directory.name] == ["0", "1"]
    assert list(home.orphans()) == []
    first.remember(["BTC-USD", "ETH-USD"])
    first.release()
    again = SpoolHome(tmp_path).claim()
    assert again.directory == first.directory
    assert again.remembered == {"BTC-USD", "ETH-USD"}
    again.remember(())
    assert again.remembered == frozenset()
    again.release(delete=True)
    second.release()
    assert SpoolHome(tmp_path).claim().directory.name == "1"  # what is there comes before a new one


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from data_collector.spool import SpoolHome\n"
        "lease = SpoolHome(Path(sys.argv[1])).claim(); print(lease.directory.name, flush=True)\n"
        "time.sleep(60)"
    )
    services = Path(__file__).parents[3] / "services"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env={"PYTHONPATH": str(services)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "0\n"
    home = SpoolHome(tmp_path)
    assert list(home.orphans()) == []
    holder.kill()
    holder.wait()
    holder.stdout.close()
    (orphan,) = home.orphans()
    assert orphan.directory.name == "0"
    orphan.release(delete=True)
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_directory_is_not_taken_for_a_held_one(tmp_path: Path) -> None:
    home = SpoolHome(tmp_path)
    first = home.claim()
    (first.directory / "0.segment").write_bytes(b"x")
    first.release(delete=True)
    second = home.claim()
    assert second.directory.name == "0"
    assert [path.name for path in second.directory.iterdir()] == ["lock"]
    second.release()


def test_what_was_left_is_delivered_and_then_deleted(tmp_path: Path) -> None:
    clock = FakeClock()
    delivery = Delivery(lambda: None, Topics("prices", "dlq"), clock, lambda: None)
    home = SpoolHome(tmp_path)
    ended, own = home.claim(), home.claim()
    left = open_spool(ended)
    left.append(ENTRY)
    left.close()
    ended.remember(["BTC-USD"])
    ended.release()
    learned: list[Spool] = []
    adoption = Adoption(home, open_spool, learned.append, delivery)
    assert adoption.look() == {"BTC-USD"}
    assert len(learned) == 1
    assert delivery.pending == 1
    assert adoption.look() == frozenset()  # held now
    adoption.close()  # undelivered: the next one finds it
    assert adoption.look() == {"BTC-USD"}
    record = learned[1].read(learned[1].cursor, 1)[0]
    learned[1].acknowledge([record.end])
    delivery._forget_empty()
    assert [path.name for path in tmp_path.iterdir()] == [own.directory.name]
    own.release()


def test_an_empty_one_goes_at_once(tmp_path: Path) -> None:
    home = SpoolHome(tmp_path)
    lease = home.claim()
    open_spool(lease).close()
    lease.release()
    delivery = Delivery(lambda: None, Topics("prices", "dlq"), FakeClock(), lambda: None)
    assert Adoption(home, open_spool, lambda _spool: None, delivery).look() == frozenset()
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="SPOOL_DIR"):
        SpoolHome(tmp_path / "file" / "spool")
