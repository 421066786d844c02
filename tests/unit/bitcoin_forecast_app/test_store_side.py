"""Warm start and publication after a crash, against a real database."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine as Database
from tests.unit.bitcoin_forecast_app.test_engine import START, now, tick
from tests.unit.bitcoin_forecast_app.test_supervision import Time

from bitcoin_forecast_app.checkpoint import Checkpoint
from bitcoin_forecast_app.engine import Engine, Key
from bitcoin_forecast_app.republish import stored_predictions
from bitcoin_forecast_app.warm import warm_up
from common.store import make_engine, upgrade_schema
from common.store.writer import save_predictions, save_ticks
from common.wire import Prediction

KEY = Key("simulated", "BTC-USD")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = make_engine(f"sqlite:///{tmp_path}/store.db")
    upgrade_schema(database)
    yield database
    database.dispose()


def price(second: int) -> str:
    return f"{60_000 + (second * 37) % 11}.5"


def live(database: Database, engine: Engine, seconds: range) -> list[Prediction]:
    made = []
    for second in seconds:
        observed = tick(second, price(second))
        prediction = engine.on_tick(observed, now(second))
        with database.begin() as connection:
            save_ticks(connection, [observed])
            if prediction is not None:
                save_predictions(connection, [prediction])
                made.append(prediction)
    return made


def test_a_restart_goes_on_as_if_nothing_had_been(database: Database) -> None:
    steady = Engine()
    live(database, steady, range(120))
    restarted = Engine()
    with database.connect() as connection:
        assert warm_up(restarted, connection) == 120
        assert warm_up(restarted, connection) == 0
    same = steady.on_tick(tick(120, price(120)), now(120))
    again = restarted.on_tick(tick(120, price(120)), now(120))
    assert same is not None
    assert again is not None
    assert again.outcomes == same.outcomes  # scored by what was published before the restart
    assert len(again.outcomes) == 5
    for one, other in zip(same.horizons, again.horizons, strict=True):
        assert other.quantiles == pytest.approx(one.quantiles)


def test_what_was_stored_is_published_again_as_it_was(database: Database) -> None:
    made = live(database, Engine(), range(40))
    with database.connect() as connection:
        assert stored_predictions(connection, KEY, 3) == made[-3:]
        assert stored_predictions(connection, KEY, 1_000) == made[1:]
        assert stored_predictions(connection, Key("live", "BTC-USD"), 3) == []


def test_forecasts_of_late_ticks_come_back_with_their_open_horizons_only(
    database: Database,
) -> None:
    engine = Engine()
    live(database, engine, range(5))
    late = tick(5, price(5))
    prediction = engine.on_tick(late, START + timedelta(seconds=25))
    assert prediction is not None
    with database.begin() as connection:
        save_ticks(connection, [late])
        save_predictions(connection, [prediction])
    with database.connect() as connection:
        assert stored_predictions(connection, KEY, 1) == [prediction]
        restarted = Engine()
        warm_up(restarted, connection)
    after = restarted.on_tick(tick(10, price(10)), now(10))
    assert after is not None
    assert {o.horizon_s for o in after.outcomes} <= {5, 10}


def test_the_journal_is_folded_in_between_ticks_and_not_by_one_of_them(database: Database) -> None:
    clock = Time()
    checkpoint = Checkpoint(database, clock)
    file = Path(str(database.url.database))
    before = file.stat().st_size
    text = "x" * 4_000
    for number in range(60):  # 1,200 pages and more: a commit would fold them by default
        with database.begin() as connection:
            for part in range(20):
                connection.exec_driver_sql(
                    "INSERT INTO consumer_offsets VALUES (?, ?, 0, 1)", (f"{number}-{part}", text)
                )
        checkpoint()
    assert file.stat().st_size == before
    clock.sleep(11)
    checkpoint()
    assert file.stat().st_size > before + 1_000 * 4_000
    with database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM consumer_offsets").scalar()
    assert rows == 1_200
