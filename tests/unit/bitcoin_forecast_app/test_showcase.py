"""The registry as the store shows it, and as the API reads it there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, event
from tests.unit.bitcoin_forecast_app.test_registry import model
from tests.unit.bitcoin_forecast_app.test_supervision import NEW, OLD, Time

from bitcoin_forecast_app.features import EVEN, ODD
from bitcoin_forecast_app.models import rollback
from bitcoin_forecast_app.registry import Registry
from bitcoin_forecast_app.showcase import Showcase
from common.store import make_engine, upgrade_schema
from common.store.schema import models
from web_app.registry import ModelsAnswer, read_models


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = make_engine(f"sqlite:///{tmp_path}/store.db")
    upgrade_schema(engine)
    yield engine
    engine.dispose()


class Bench:
    def __init__(self, folder: Path, database: Engine) -> None:
        self.registry = Registry(folder, "simulated")
        self.database, self.clock = database, Time()
        self.showcase = Showcase(
            database, self.registry, "simulated", lambda: self.registry.current, self.clock
        )

    def save(self, version: str, *, promoted: bool) -> None:
        manifest = {"version": version, "promoted": promoted, "seed": 1, "code": "c0de"}
        self.registry.save(model(version), manifest | {"rows": 700, "reason": "because"})

    def turn(self, seconds: float = 5.0) -> ModelsAnswer:
        self.clock.sleep(seconds)
        self.showcase()
        with self.database.connect() as connection:
            return read_models(connection, "simulated")


@pytest.fixture
def bench(tmp_path: Path, database: Engine) -> Bench:
    bench = Bench(tmp_path / "models", database)
    for version in (OLD, NEW):
        bench.save(version, promoted=True)
        bench.registry.switch(version)
    return bench


def test_the_api_shows_what_the_registry_holds_with_code_seed_and_features(bench: Bench) -> None:
    answer = bench.turn()
    assert answer.current == NEW
    assert [card.version for card in answer.items] == [NEW, OLD]
    card = answer.last_training
    assert card is not None
    assert (card.seed, card.code, card.rows, card.reason) == (1, "c0de", 700, "because")
    assert card.features == [*EVEN, *ODD]
    assert card.sha256 == bench.registry.manifest(NEW)["sha256"]


def test_a_rollback_shows_at_once_and_a_training_run_within_seconds(bench: Bench) -> None:
    assert bench.turn().current == NEW
    rollback(bench.registry, OLD)
    assert bench.turn(0.01).current == OLD
    rollback(bench.registry, "none")
    assert bench.turn(0.01).current is None
    newest = "20260103T000000Z-cccccc"
    bench.save(newest, promoted=False)
    assert bench.turn(0.01).items[0].version == NEW
    answer = bench.turn()
    assert (answer.items[0].version, answer.items[0].promoted) == (newest, False)


def test_versions_that_are_gone_or_broken_are_not_shown(bench: Bench) -> None:
    (bench.registry.directory / NEW / "manifest.json").write_text("{")
    assert [card.version for card in bench.turn().items] == [OLD]
    (bench.registry.directory / OLD / "manifest.json").unlink()
    assert bench.turn() == ModelsAnswer()


def test_a_store_that_was_restored_or_away_shows_them_again(bench: Bench, database: Engine) -> None:
    bench.turn()
    with database.begin() as connection:
        connection.execute(delete(models))
    assert bench.turn(60).current == NEW
    models.drop(database)
    rollback(bench.registry, OLD)
    bench.clock.sleep(5)
    bench.showcase()  # says so in the log, and raises nothing
    models.create(database)
    assert bench.turn().current == OLD


def test_where_nothing_changed_the_store_is_left_alone(bench: Bench, database: Engine) -> None:
    bench.turn()
    statements: list[str] = []
    event.listen(database, "before_cursor_execute", lambda *given: statements.append(given[2]))
    for _ in range(500):
        bench.clock.sleep(0.1)
        bench.showcase()
    assert statements == []
