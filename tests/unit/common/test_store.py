from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, func, make_url, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from common.clock import from_micros, to_micros
from common.errors import SchemaTooNewError, StaleOffsetError
from common.store import check_schema, make_engine, upgrade_schema
from common.store.__main__ import main
from common.store.schema import metadata, predictions, scores, ticks
from common.store.writer import load_offsets, save_offset, save_predictions, save_ticks
from common.wire import HORIZONS_S, HorizonForecast, Outcome, Prediction, Tick

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def make_tick() -> Tick:
    return Tick(
        symbol="BTC-USD",
        venue="kraken",
        feed="simulated",
        sequence=to_micros(MOMENT),
        event_time=MOMENT,
        receive_time=MOMENT,
        price=Decimal("64000.10"),
        size=Decimal("0.00000001"),
    )


def make_prediction() -> Prediction:
    quantiles = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
    horizons = tuple(
        HorizonForecast(
            horizon_s=seconds,
            target_time=MOMENT + timedelta(seconds=seconds),
            mean=4.0,
            quantiles=quantiles,
        )
        for seconds in HORIZONS_S
    )
    outcome = Outcome(
        horizon_s=1,
        issue_time=MOMENT - timedelta(seconds=1),
        target_time=MOMENT,
        model_version="baseline",
        reference_price=4.0,
        predicted=4.0,
        actual=4.5,
        crps=0.2,
        crps_last_value=0.5,
        crps_baseline=0.25,
        inside_50=True,
        inside_80=True,
        inside_95=True,
        width_95=6.0,
    )
    return Prediction(
        symbol="BTC-USD",
        venue="kraken",
        feed="simulated",
        sequence=to_micros(MOMENT),
        issue_time=MOMENT,
        reference_price=4.0,
        model_version="baseline",
        horizons=horizons,
        outcomes=(outcome,),
    )


def test_micros_go_there_and_back() -> None:
    assert from_micros(to_micros(MOMENT)) == MOMENT


def test_the_migrations_make_exactly_the_schema_of_the_code(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert upgrade_schema(engine) == check_schema(engine)


def test_an_empty_store_is_brought_to_the_newest_schema_once(url: str) -> None:
    engine = make_engine(url)
    before, now = upgrade_schema(engine)
    assert (before, upgrade_schema(engine)) == (None, (now, now))
    engine.dispose()


@pytest.mark.parametrize(("revision", "usable"), [("9999", False), ("0999", True)])
def test_a_newer_schema_is_refused_and_left_alone(
    engine: Engine, revision: str, *, usable: bool
) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    with pytest.raises(SchemaTooNewError, match=f"schema {revision}, unknown") as found:
        upgrade_schema(engine)
    assert found.value.usable is usable


def test_writing_again_changes_nothing_and_decimals_stay_as_sent(engine: Engine) -> None:
    for _ in range(2):
        with engine.begin() as connection:
            save_ticks(connection, [make_tick()])
            save_predictions(connection, [make_prediction()])
            save_offset(connection, "group", "topic", 0, 42)
    with engine.connect() as connection:
        row = connection.execute(select(ticks)).one()
        assert (row.price, row.size, row.bid) == ("64000.10", "0.00000001", None)
        assert row.event_time == to_micros(MOMENT)
        count = select(func.count())
        assert connection.scalar(count.select_from(predictions)) == len(HORIZONS_S)
        assert connection.scalar(count.select_from(scores)) == 1
        assert load_offsets(connection, "group", "topic") == {0: 42}


def test_a_failed_transaction_leaves_neither_rows_nor_offsets(engine: Engine) -> None:
    def write_and_break() -> None:
        with engine.begin() as connection:
            save_ticks(connection, [make_tick()])
            save_offset(connection, "group", "topic", 0, 42)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        write_and_break()
    with engine.connect() as connection:
        assert connection.execute(select(ticks)).all() == []
        assert load_offsets(connection, "group", "topic") == {}


def test_a_read_only_engine_refuses_writes(engine: Engine, url: str) -> None:
    reader = make_engine(url, read_only=True)
    with reader.connect() as connection:
        assert connection.execute(select(ticks)).all() == []
        with pytest.raises(DBAPIError, match=r"read-?only"):
            save_ticks(connection, [make_tick()])
    reader.dispose()


def test_an_offset_that_another_has_moved_is_refused_with_its_rows(engine: Engine) -> None:
    def write(next_offset: int, expected: int) -> None:
        with engine.begin() as connection:
            save_ticks(connection, [make_tick()])
            save_offset(connection, "group", "topic", 0, next_offset, expected)

    with pytest.raises(StaleOffsetError, match="topic/0: the store does not hold offset 5"):
        write(7, expected=5)
    with engine.connect() as connection:
        assert connection.execute(select(ticks)).all() == []
        assert load_offsets(connection, "group", "topic") == {}
    write(10, expected=0)
    write(16, expected=10)
    for wrong in (0, 10, 17):
        with pytest.raises(StaleOffsetError):
            write(20, expected=wrong)
    with engine.connect() as connection:
        assert load_offsets(connection, "group", "topic") == {0: 16}


def test_an_upgrade_waits_for_a_database_that_does_not_answer_yet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    away = [OperationalError("connect", {}, Exception("Connection refused")) for _ in range(2)]

    def upgrade(_engine: Engine) -> tuple[None, str]:
        if away:
            raise away.pop()
        return None, "0004"

    monkeypatch.setattr("common.store.cli.upgrade_schema", upgrade)
    monkeypatch.setattr("common.store.cli._RETRY_S", 0.01)
    assert main(["upgrade", "sqlite://"]) == 1
    assert main(["upgrade", "--wait", "sqlite://"]) == 0
    said = capsys.readouterr()
    assert said.err.count("Connection refused") == 2
    assert '"now": "0004"' in said.out


def test_an_address_may_stand_in_the_environment_instead_of_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("STORE", f"sqlite:///{tmp_path}/store.sqlite3")
    assert main(["upgrade", "env:STORE"]) == 0
    assert '"changed": true' in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["upgrade", "env:NO_STORE"])
    assert "the environment has no 'NO_STORE'" in capsys.readouterr().err


def test_a_database_without_an_encoding_serves_too(postgres: str) -> None:
    name, options = "no_encoding", "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    server = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0 {options}"))
    engine = make_engine(
        make_url(postgres).set(database=name).render_as_string(hide_password=False)
    )
    try:
        assert upgrade_schema(engine)[0] is None
        with engine.begin() as connection:
            save_ticks(connection, [make_tick()])
        with engine.connect() as connection:
            assert connection.execute(select(ticks.c.symbol)).scalar() == "BTC-USD"
    finally:
        engine.dispose()
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}"))
        server.dispose()
