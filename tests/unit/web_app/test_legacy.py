"""The earlier system's routes, as its clients read them."""

import statistics
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from tests.unit.web_app.conftest import NOW, SECONDS

FORMAT = "%Y-%m-%dT%H:%M:%S"


def fetch(client: FlaskClient, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200
    return msgspec.json.decode(answer.data)


def parse(stamp: str) -> datetime:
    return datetime.strptime(stamp, FORMAT).replace(tzinfo=NOW.tzinfo)


def test_prices_are_one_for_each_second(client: FlaskClient) -> None:
    prices = fetch(client, "/api/price-data")
    assert len(prices) == SECONDS
    assert set(prices[0]) == {"timestamp", "open", "high", "low", "close", "volume"}
    assert parse(prices[-1]["timestamp"]) == NOW - timedelta(seconds=1)


def test_predictions_are_stamped_with_the_time_they_are_for(client: FlaskClient) -> None:
    predictions = fetch(client, "/api/prediction-data")
    assert set(predictions[0]) == {"timestamp", "pred_price", "pred_lower", "pred_upper"}
    assert parse(predictions[-1]["timestamp"]) == NOW
    for item in predictions:
        assert item["pred_lower"] < item["pred_price"] < item["pred_upper"]
    far = fetch(client, "/api/prediction-data?horizon_s=300")
    assert parse(far[-1]["timestamp"]) == NOW + timedelta(seconds=299)


def test_metrics_begin_with_the_metadata_and_are_bounded(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *points = fetch(client, "/api/metrics-data?limit=100")
    text = capsys.readouterr().out
    assert set(head) == {
        *("is_metadata", "timestamp"),
        *("recent_avg_error", "recent_mae", "total_avg_error", "total_mae"),
    }
    assert head["is_metadata"] is True
    assert len(points) == 100
    assert set(points[0]) == {"timestamp", "std", "mae", "rmse", "actual_error"}
    _, *everything = fetch(client, "/api/metrics-data")
    assert len(everything) == SECONDS - 1
    assert everything[-100:] == points  # statistics do not depend on how many are asked for
    errors = [point["actual_error"] for point in everything]
    assert head["total_mae"] == pytest.approx(statistics.fmean(map(abs, errors)))
    assert points[-1]["std"] == pytest.approx(statistics.pstdev(errors[-60:]))
    assert points[-1]["rmse"] > abs(statistics.fmean(errors[-60:]))
    assert "Returning 100 metrics data points" in text
    expected = f"Avg Error: {head['total_avg_error']:.2f}, MAE: {head['total_mae']:.2f}"
    assert f"Final metrics statistics - {expected}" in text


@pytest.mark.parametrize("zone", ["Z", "", ".700"])  # a stamp comes without one
def test_metrics_since_a_time(client: FlaskClient, zone: str) -> None:
    since = (NOW - timedelta(seconds=30)).strftime(FORMAT) + zone
    _, *points = fetch(client, f"/api/metrics-data?since={since}")
    assert [parse(point["timestamp"]) for point in points] == [
        NOW - timedelta(seconds=back) for back in range(29, 0, -1)
    ]


def test_data_is_an_overview(client: FlaskClient) -> None:
    body = fetch(client, "/api/data")
    assert set(body) == {
        *("current_price", "predicted_price", "mae", "mape", "timestamp"),
        *("recent_data", "plot_settings"),
    }
    assert body["current_price"] == body["recent_data"]["prices"][-1]
    assert body["mape"] == pytest.approx(100 * body["mae"] / body["current_price"], rel=0.02)


@pytest.mark.parametrize("path", ["price-data", "prediction-data", "metrics-data", "data"])
def test_what_it_never_looked_at_is_left_alone(client: FlaskClient, path: str) -> None:
    assert fetch(client, f"/api/{path}?_=1700000000") == fetch(client, f"/api/{path}")
