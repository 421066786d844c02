"""Consumers are lent again, never beyond the number, and never after an error."""

import pytest
from tests.unit.kafka_monitor.fake_consumer import FakeConsumer

from kafka_monitor.errors import BusyError
from kafka_monitor.readers import ReaderPool


def test_a_consumer_is_lent_again() -> None:
    pool = ReaderPool(FakeConsumer, 2, 0.0)
    with pool.borrow() as first:
        pass
    with pool.borrow() as second:
        assert second is first
    assert first.unsubscribed == 2
    pool.close()
    assert first.closed


def test_no_more_than_the_number() -> None:
    pool = ReaderPool(FakeConsumer, 1, 0.01)
    with pool.borrow(), pytest.raises(BusyError, match="1 are already reading"), pool.borrow():
        pass
    with pool.borrow():
        pass


def test_a_consumer_that_saw_an_error_is_closed() -> None:
    pool = ReaderPool(FakeConsumer, 1, 0.0)
    with pytest.raises(ValueError, match="broken"), pool.borrow() as first:
        raise ValueError("broken")
    assert first.closed
    with pool.borrow() as second:
        assert second is not first


def test_a_failed_connection_gives_its_place_back() -> None:
    def refuse() -> FakeConsumer:
        raise OSError("away")

    pool = ReaderPool(refuse, 1, 0.0)
    for _ in range(3):
        with pytest.raises(OSError, match="away"), pool.borrow():
            pass
