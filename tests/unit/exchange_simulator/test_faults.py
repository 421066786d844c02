from pathlib import Path

import pytest

from exchange_simulator.errors import FaultScriptError
from exchange_simulator.faults import ActiveFaults, Fault, load_faults, parse_faults

START_US = 1_000_000_000


def kinds(
    active: ActiveFaults, second: float, venue: str = "coinbase", path: str = "/t"
) -> list[str]:
    return [fault.kind for _, fault in active.match(venue, path, START_US + int(second * 1e6))]


def test_a_timeline_from_yaml(tmp_path: Path) -> None:
    script = tmp_path / "faults.yml"
    script.write_text(
        "- {at_s: 30, for_s: 10, kind: rate_limited, retry_after_s: 5}\n"
        "- {at_s: 60, for_s: 1, kind: reset, venue: kraken, path: Ticker}\n"
    )
    active = ActiveFaults(load_faults(script), START_US, seed=1)
    assert kinds(active, 29.9) == []
    assert kinds(active, 30) == ["rate_limited"]
    assert kinds(active, 40) == []
    assert kinds(active, 60.5) == []
    assert kinds(active, 60.5, "kraken", "/kraken/0/public/Ticker") == ["reset"]
    assert kinds(active, 60.5, "kraken", "/kraken/0/public/Time") == []


def test_added_faults_count_from_the_request_and_can_be_cleared() -> None:
    active = ActiveFaults((), START_US, seed=1)
    active.add([Fault(kind="slow", at_s=1, for_s=2)], START_US + 100_000_000)
    assert [kinds(active, second) for second in (100, 101, 103)] == [[], ["slow"], []]
    assert active.describe(START_US + 100_000_000)[0]["active"] is False
    active.clear()
    assert kinds(active, 102) == []


def test_chance_is_repeatable_under_a_seed() -> None:
    fault = Fault(kind="reset", probability=0.3)

    def strikes(seed: int) -> list[int]:
        active = ActiveFaults([fault], START_US, seed)
        return [len(kinds(active, 1)) for _ in range(300)]

    assert strikes(1) == strikes(1) != strikes(2)
    assert 60 < sum(strikes(1)) < 120


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"kind": "explode"}, "kind"),
        ([{"kind": "slow", "delay_s": -1}], "delay_s"),
        ([{"kind": "slow", "delay": 1}], "delay: Extra inputs"),
        ("slow", "tuple"),
    ],
)
def test_wrong_entries_are_named(data: object, said: str) -> None:
    with pytest.raises(FaultScriptError, match=said):
        parse_faults(data, "body")


@pytest.mark.parametrize("text", ["- {kind: [", "\x00", "kind: slow\nkind"])
def test_a_broken_script_is_one_clear_error(tmp_path: Path, text: str) -> None:
    script = tmp_path / "faults.yml"
    script.write_text(text)
    with pytest.raises(FaultScriptError, match=r"FAULTS_FILE .*faults\.yml"):
        load_faults(script)
    with pytest.raises(FaultScriptError, match="not readable"):
        load_faults(tmp_path / "none.yml")


def test_an_empty_script_has_no_faults(tmp_path: Path) -> None:
    script = tmp_path / "faults.yml"
    script.write_text("# none yet\n")
    assert load_faults(script) == ()
