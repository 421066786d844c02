"""Intake, publication, training's supervision: the edges of the process, against fakes of them."""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError
from prometheus_client import CollectorRegistry
from tests.unit.bitcoin_forecast_app.test_engine import tick

from bitcoin_forecast_app.intake import Intake
from bitcoin_forecast_app.metrics import Metrics
from bitcoin_forecast_app.quiet import quietly
from bitcoin_forecast_app.scoreboard import Scoreboard
from bitcoin_forecast_app.settings import ForecastSettings
from bitcoin_forecast_app.stream import Message, Publisher
from common.clock import SystemClock, from_micros
from common.errors import ConfigurationError
from common.settings import load_settings
from common.wire import DeadLetter, Outcome, decode, encode


@dataclass
class Record:
    value: bytes | None
    offset: int = 7
    partition: int = 0
    key: bytes | None = b"BTC-USD"
    topic: str = "bitcoin-prices"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def test_what_is_no_tick_goes_to_the_dead_letters_with_its_origin(metrics: Metrics) -> None:
    intake = Intake("dlq", SystemClock(), metrics)
    taken = intake.take([Record(encode(tick(0))), Record(b'{"price": "x"}', 8), Record(None, 9)])
    assert [t.symbol for t in taken.ticks] == ["BTC-USD"]
    assert taken.offsets == {0: 10}
    letters = [decode(message.value, DeadLetter) for message in taken.dead_letters]
    assert [letter.origin for letter in letters] == ["bitcoin-prices/0/8", "bitcoin-prices/0/9"]
    assert letters[0].payload == '{"price": "x"}'


def test_a_condemned_record_is_refused_when_it_comes_again(metrics: Metrics) -> None:
    intake = Intake("dlq", SystemClock(), metrics)
    records = [Record(encode(tick(0)), 7), Record(encode(tick(1)), 8)]
    intake.condemn(records[1], "cannot be stored: DataError")
    taken = intake.take(records)
    assert (len(taken.ticks), taken.offsets) == (1, {0: 9})
    (letter,) = [decode(message.value, DeadLetter) for message in taken.dead_letters]
    assert (letter.origin, letter.detail) == ("bitcoin-prices/0/8", "cannot be stored: DataError")


def test_a_flood_of_rubbish_does_not_flood_the_dead_letters(metrics: Metrics) -> None:
    intake = Intake("dlq", SystemClock(), metrics)
    taken = intake.take([Record(b"rubbish", offset) for offset in range(1_000)])
    assert 100 <= len(taken.dead_letters) <= 102
    assert taken.offsets == {0: 1_000}


class FakeFuture:
    def __init__(self, fails: bool) -> None:
        self._fails = fails

    def get(self, timeout: float) -> None:
        if self._fails:
            raise KafkaTimeoutError


class FakeProducer:
    """Acknowledges what it is sent, but for the first ``failures`` of all producers together."""

    sent: Sequence[bytes]

    def __init__(self, log: list[bytes], failures: list[bool]) -> None:
        self._log, self._failures = log, failures

    def send(self, topic: str, value: bytes, key: bytes) -> FakeFuture:
        fails = self._failures.pop(0) if self._failures else False
        if not fails:
            self._log.append(value)
        return FakeFuture(fails)

    def close(self, timeout: float) -> None: ...


def publisher(metrics: Metrics, log: list[bytes], failures: list[bool]) -> Publisher:
    def connect() -> Any:
        return FakeProducer(log, failures)

    return Publisher(connect, metrics)


MESSAGES = [Message("predictions", b"k", str(i).encode()) for i in range(3)]


def test_publication_is_tried_again_from_the_first_failure_on(metrics: Metrics) -> None:
    log: list[bytes] = []
    done = publisher(metrics, log, [False, True, True]).publish(
        MESSAGES, threading.Event(), lambda: None
    )
    assert done
    assert log == [b"0", b"1", b"2"]


def test_a_stop_ends_the_tries(metrics: Metrics) -> None:
    stop = threading.Event()
    stop.set()
    assert not publisher(metrics, [], [True] * 9).publish(MESSAGES, stop, lambda: None)


def test_all_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://somewhere/x")
    monkeypatch.setenv("TRAIN_INTERVAL_S", "-1")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(ForecastSettings)
    for name in ("DATABASE_URL", "mysql", "TRAIN_INTERVAL_S", "MODEL_DIR", "LEADER_LOCK_FILE"):
        assert name in str(caught.value)


def outcome(second: int, crps: float, baseline: float) -> Outcome:
    return Outcome(
        horizon_s=1,
        issue_time=from_micros(second * 1_000_000),
        target_time=from_micros((second + 1) * 1_000_000),
        model_version="x",
        reference_price=100.0,
        predicted=100.0,
        actual=101.0,
        crps=crps,
        crps_last_value=1.0,
        crps_baseline=baseline,
        inside_50=False,
        inside_80=True,
        inside_95=True,
        width_95=5.0,
    )


def test_rolling_scores_forget_what_is_older_than_their_window() -> None:
    board = Scoreboard()
    for second in range(7_200):
        board.add(outcome(second, crps=0.9 if second < 3_600 else 0.4, baseline=0.8))
    recent, whole = board.report("5m")["1"], board.report("all")["1"]
    assert recent["n"] == pytest.approx(300, abs=10)
    assert recent["skill_baseline"] == pytest.approx(0.5)
    assert whole["n"] == 7_200
    assert whole["skill_baseline"] == pytest.approx(1 - 0.65 / 0.8)
    assert whole["mase"] == pytest.approx(1.0)
    assert board.report("1h")["1"]["coverage_80"] == 1.0


def test_what_a_library_writes_is_dropped_and_its_fault_is_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    @quietly()
    def load() -> None:
        os.write(2, b"no graphics card")
        raise ImportError("gone")

    with pytest.raises(ImportError, match="gone"):
        load()
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"
