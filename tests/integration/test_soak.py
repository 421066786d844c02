"""The soak run in its shorter form: each fault of a process and of an exchange once."""

from pathlib import Path

import pytest
from tests.soak.plan import EXCHANGE_KINDS, PROCESS_FAULTS, draw
from tests.soak.run import soak

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def test_whatever_fails_every_tick_taken_is_stored_once(tmp_path: Path) -> None:
    plan = draw(7, rounds=1, exchange_rounds=1)
    assert {event.what for event in plan.events} == set(PROCESS_FAULTS)
    assert {fault["kind"] for fault in plan.exchange} == set(EXCHANGE_KINDS)
    said: list[str] = []
    verdict = soak(tmp_path, plan, interval_s=0.1, seed=7, say=said.append)
    assert not verdict.failed, "\n".join([*said, verdict.render()])


def test_a_seed_always_draws_the_same_plan() -> None:
    assert draw(3, rounds=2, exchange_rounds=2) == draw(3, rounds=2, exchange_rounds=2)
    assert draw(3, rounds=2, exchange_rounds=2) != draw(4, rounds=2, exchange_rounds=2)
    assert draw(1, rounds=4, exchange_rounds=3).faults >= 40
