from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, Table, func, insert, select

from common.clock import from_micros
from common.store import make_engine, upgrade_schema
from common.store.rebuild import compare_bars
from common.store.retention import Retention, RetentionPolicy
from common.store.schema import BARS, predictions, scores, ticks
from common.store.writer import save_ticks

from .test_store_bars import BASE, at, stored_bars

DAY = 86_400
HOUR = 3_600


class ManualClock:
    """Time stands still but for `pass_time`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def now(self) -> datetime:
        return from_micros(BASE) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds


def count(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def save_each(engine: Engine, seconds: range) -> None:
    with engine.begin() as connection:
        save_ticks(connection, [at(second) for second in seconds])


def run_until_idle(retention: Retention, clock: ManualClock) -> list[int]:
    batches = []
    while deleted := retention():
        batches.append(deleted)
        clock.pass_time(1.0)
    return batches


def test_ticks_go_in_bounded_batches_and_their_bars_stay(engine: Engine) -> None:
    save_each(engine, range(0, 3 * DAY, 600))
    bars = [stored_bars(engine, width) for width in BARS]
    clock = ManualClock(3 * DAY)
    retention = Retention(engine, RetentionPolicy(ticks_days=1), clock, batch_rows=100)
    assert run_until_idle(retention, clock) == [100, 100, 82]  # 47 whole hours
    assert retention.deleted == 282
    assert count(engine, ticks) == 3 * 144 - 282
    assert [stored_bars(engine, width) for width in BARS] == bars
    with engine.connect() as connection:
        assert list(compare_bars(connection)) == []


def test_it_does_nothing_between_batches_and_looks_again_when_idle(engine: Engine) -> None:
    save_each(engine, range(0, 2 * DAY, 3600))
    clock = ManualClock(2 * DAY)
    retention = Retention(engine, RetentionPolicy(ticks_days=1), clock, batch_rows=3)
    assert (retention(), retention()) == (3, 0)
    clock.pass_time(1.0)
    assert retention() == 3
    clock.pass_time(1.0)
    run_until_idle(retention, clock)
    save_each(engine, range(2 * DAY, 3 * DAY, 3600))
    clock.pass_time(599)
    assert retention() == 0
    clock.pass_time(1)
    assert retention() == 1  # ten minutes more than a day


def test_a_clock_far_ahead_and_an_old_recording_empty_nothing(engine: Engine) -> None:
    save_each(engine, range(0, 2 * DAY, 3600))
    clock = ManualClock(20 * 365 * DAY)
    run_until_idle(Retention(engine, RetentionPolicy(ticks_days=1), clock), clock)
    assert count(engine, ticks) == 25


def test_a_limit_of_nothing_keeps_everything_and_a_negative_one_is_refused(engine: Engine) -> None:
    save_each(engine, range(0, 9 * DAY, 3600))
    clock = ManualClock(9 * DAY)
    assert run_until_idle(Retention(engine, RetentionPolicy(0, 0), clock), clock) == []
    with pytest.raises(ValueError, match="must not be negative"):
        RetentionPolicy(ticks_days=-1)


def prediction_row(issue: int, horizon: int) -> dict[str, Any]:
    row: dict[str, Any] = {column.name: 1.0 for column in predictions.c}
    row |= {"feed": "live", "symbol": "BTC-USD", "venue": "kraken", "model_version": "m"}
    times = {"issue_time": issue, "target_time": issue + horizon * 1_000_000, "sequence": issue}
    return row | times | {"horizon_s": horizon}


def score_row(issue: int, horizon: int) -> dict[str, Any]:
    row = prediction_row(issue, horizon)
    found = {column.name: row.get(column.name, 1.0) for column in scores.c}
    return found | {f"inside_{level}": True for level in (50, 80, 95)}


def test_predictions_and_scores_of_every_horizon_go_by_their_own_limit(engine: Engine) -> None:
    issues = range(BASE, BASE + 3 * DAY * 10**6, HOUR * 10**6)
    with engine.begin() as connection:
        for table, make in ((predictions, prediction_row), (scores, score_row)):
            rows = [make(issue, horizon) for issue in issues for horizon in (1, 300)]
            connection.execute(insert(table), rows)
    save_each(engine, range(0, 3 * DAY, 3600))
    clock = ManualClock(3 * DAY)
    policy = RetentionPolicy(ticks_days=0, predictions_days=2)
    run_until_idle(Retention(engine, policy, clock), clock)
    with engine.connect() as connection:
        for table, time in ((predictions, predictions.c.issue_time), (scores, scores.c.issue_time)):
            query = select(table.c.horizon_s, func.min(time), func.count())
            found = connection.execute(query.group_by(table.c.horizon_s)).all()
            found = sorted(found)
            oldest = BASE + (DAY - HOUR) * 10**6
            assert [tuple(row) for row in found] == [(1, oldest, 49), (300, oldest, 49)]
    assert count(engine, ticks) == 72


def test_the_file_shrinks_when_much_was_deleted(tmp_path: Any) -> None:
    path = tmp_path / "store.sqlite3"
    engine = make_engine(f"sqlite:///{path}")
    upgrade_schema(engine)
    rows = [
        {column.name: None if column.nullable else "0" * 20 for column in ticks.c}
        | {"sequence": BASE + n * 10**7, "feed": "live", "symbol": "BTC-USD", "event_time": 0}
        | {"receive_time": 0, "event_time_estimated": True, "last_price": 1.0, "mid_price": 1.0}
        for n in range(100_000)
    ]
    with engine.begin() as connection:
        connection.execute(insert(ticks), rows)
    clock = ManualClock(20 * DAY)
    with engine.connect() as connection:
        before = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    retention = Retention(engine, RetentionPolicy(ticks_days=1), clock, batch_rows=20_000)
    run_until_idle(retention, clock)
    with engine.connect() as connection:
        after = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        free = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
    assert after < before - 1_000
    assert after - free < before / 5
    engine.dispose()


def test_a_store_that_refuses_is_tried_again_later(engine: Engine) -> None:
    save_each(engine, range(0, 2 * DAY, 3600))
    reader = make_engine(engine.url.render_as_string(hide_password=False), read_only=True)
    clock = ManualClock(2 * DAY)
    retention = Retention(reader, RetentionPolicy(ticks_days=1), clock)
    assert (retention(), retention.deleted) == (0, 0)
    assert count(engine, ticks) == 48
    reader.dispose()
