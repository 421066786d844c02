"""Cards of models in the store, on both databases."""

from sqlalchemy import Engine

from common.store.models import list_models, save_models


def save(engine: Engine, versions: list[str], serving: str, feed: str = "live") -> int:
    with engine.begin() as connection:
        return save_models(
            connection, feed, versions, serving, lambda version: f'{{"v":"{version}"}}'
        )


def shown(engine: Engine, feed: str = "live", limit: int = 10) -> list[tuple[str, bool, str]]:
    with engine.connect() as connection:
        return [tuple(row) for row in list_models(connection, feed, limit)]


def test_cards_are_as_given_newest_first_with_one_in_service(engine: Engine) -> None:
    assert save(engine, ["20260102-b", "20260101-a"], "20260101-a") == 2
    assert shown(engine) == [
        ("20260102-b", False, '{"v":"20260102-b"}'),
        ("20260101-a", True, '{"v":"20260101-a"}'),
    ]
    assert shown(engine, limit=1) == [("20260102-b", False, '{"v":"20260102-b"}')]


def test_what_changed_is_changed_and_nothing_else(engine: Engine) -> None:
    save(engine, ["1", "2", "3"], "1")
    save(engine, ["1"], "1", feed="replay")
    assert save(engine, ["1", "2", "3"], "1") == 0
    assert save(engine, ["2", "3", "4"], "3") == 3  # 1 is gone, 3 serves, 4 is new
    assert [(version, serves) for version, serves, _ in shown(engine)] == [
        ("4", False),
        ("3", True),
        ("2", False),
    ]
    assert save(engine, ["2", "3", "4"], "none of them") == 1
    assert not any(serves for _, serves, _ in shown(engine))
    assert shown(engine, feed="replay") == [("1", True, '{"v":"1"}')]


def test_a_card_is_read_once_and_left_out_where_there_is_none(engine: Engine) -> None:
    read: list[str] = []

    def card(version: str) -> str | None:
        read.append(version)
        return None if version == "broken" else "{}"

    for _ in range(2):
        with engine.begin() as connection:
            save_models(connection, "live", ["broken", "whole"], "whole", card)
    assert read == ["broken", "whole", "broken"]
    assert shown(engine) == [("whole", True, "{}")]
