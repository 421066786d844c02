"""The document says what the routes do, and the routes do what it says."""

import io
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, get_args

import msgspec
import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError
from tests.unit.web_app.conftest import make_events

from common.wire import HORIZONS_S
from web_app.api.openapi import OPERATIONS, make_document
from web_app.api.params import Horizon
from web_app.api.schemas import Problem
from web_app.application import create_app
from web_app.runtime import Runtime

JSON = [each for each in OPERATIONS if "application/json" in each.content_types]


def test_every_route_is_in_the_document(runtime: Runtime) -> None:
    app = create_app(runtime)
    routes = {rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/")}
    assert routes - {"/api/docs", "/api/v1/openapi.json"} == set(make_document()["paths"])


def test_every_reference_leads_somewhere(client: FlaskClient) -> None:
    text = client.get("/api/v1/openapi.json").text
    document = msgspec.json.decode(text)
    assert document["openapi"] == "3.1.0"
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names == set(document["components"]["schemas"])
    assert client.get("/api/docs").status_code == 200


@pytest.mark.parametrize("operation", JSON, ids=lambda each: str(each.path))
@pytest.mark.parametrize("live", [False, True])
def test_answers_have_the_shape_that_is_promised(
    runtime: Runtime, client: FlaskClient, operation: Any, live: bool
) -> None:
    if live:
        runtime.hub.begin("0123abcd", {})
        for event in make_events(3):
            runtime.hub.publish(event)
    answer = client.get(operation.path)
    assert answer.status_code == 200
    found = msgspec.json.decode(answer.data, type=operation.answer)
    plain = msgspec.json.decode(answer.data)
    if isinstance(plain, dict):
        assert set(plain) <= {field.name for field in msgspec.structs.fields(type(found))}


VALUES = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(lambda each: each.isoformat() + "Z"),
    st.sampled_from(
        ["asc", "desc", "1m", "1s", "1h", "columns", "items", "BTC-USD", "60", "ticks"]
    ),
    st.text(max_size=30),
)
NAMES = sorted(
    {p["name"] for o in make_document()["paths"].values() for p in o["get"]["parameters"]}
)


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    operation=st.sampled_from(JSON),
    query=st.dictionaries(
        st.one_of(st.sampled_from(NAMES), st.text(max_size=8)), VALUES, max_size=4
    ),
)
def test_no_query_breaks_the_server(
    client: FlaskClient, operation: Any, query: dict[str, str]
) -> None:
    answer = client.get(operation.path, query_string=query)
    assert answer.status_code in (200, 400, 404), answer.text
    if answer.status_code == 200:
        msgspec.json.decode(answer.data, type=operation.answer)
    else:
        problem = msgspec.json.decode(answer.data, type=Problem)
        assert problem.detail


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    query=st.dictionaries(
        st.sampled_from(["symbol", "last_event_id", "replay_s", "other"]), VALUES, max_size=3
    ),
    last_id=st.one_of(st.none(), st.text(alphabet="0123456789abcdef.-:", max_size=70)),
)
def test_no_query_breaks_the_stream(
    client: FlaskClient, query: dict[str, str], last_id: str | None
) -> None:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    answer = client.get("/api/v1/stream", query_string=query, headers=headers, buffered=False)
    try:
        assert answer.status_code in (200, 400, 404)
        if answer.status_code == 200:
            assert next(answer.iter_encoded()).startswith(b"retry:")
        else:
            assert msgspec.json.decode(answer.data, type=Problem).detail
    finally:
        answer.close()


def test_the_horizons_of_queries_are_those_that_are_forecast() -> None:
    assert get_args(Horizon) == HORIZONS_S


TOKEN = "a-token-of-some-length"


def test_the_token_is_asked_of_everyone_but_monitors(
    make_runtime: Callable[..., Runtime],
) -> None:
    client = create_app(make_runtime(web_token=TOKEN)).test_client()
    refused = client.get("/api/v1/latest")
    assert refused.status_code == 401
    assert "Bearer" in msgspec.json.decode(refused.data, type=Problem).detail
    # "Basic" would bring up the browser's own question, over that of the page.
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    for path in ("/api/v1/stream", "/api/v1/openapi.json", "/api/data", "/api/v1/export"):
        assert client.get(path).status_code == 401
    for sent in ("another", "", TOKEN[:-1], TOKEN + "x", "\u20bf" * 20):
        headers = {"Authorization": f"Bearer {sent}"}
        assert client.get("/api/v1/latest", headers=headers).status_code == 401
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/v1/latest", headers=bearer).status_code == 200
    assert client.get("/api/v1/latest", auth=("", TOKEN)).status_code == 200
    assert client.get(f"/api/v1/latest?token={TOKEN}").status_code == 401
    assert client.get("/api/health").status_code == 200
    document = msgspec.json.decode(client.get("/api/v1/openapi.json", headers=bearer).data)
    assert document["security"] == [{"token": []}]
    assert document["paths"]["/api/health"]["get"]["security"] == []
    assert "401" in document["paths"]["/api/v1/latest"]["get"]["responses"]


def test_the_page_itself_is_open_for_it_asks_for_the_token(
    make_runtime: Callable[..., Runtime],
) -> None:
    client = create_app(make_runtime(web_token=TOKEN)).test_client()
    assert client.get("/").status_code == 503  # no charting library here, and no question
    for path in ("/api/docs", "/static/app/app.css", "/favicon.ico"):
        assert client.get(path).status_code == 200


def test_a_token_file_may_come_change_and_go(
    make_runtime: Callable[..., Runtime], tmp_path: Path, clock: Any
) -> None:
    file = tmp_path / "token"
    client = create_app(make_runtime(web_token_file=file)).test_client()

    def status(token: str = "") -> int:
        clock.moment += timedelta(seconds=2)
        headers = {"Authorization": f"Bearer {token}"}
        return client.get("/api/v1/models", headers=headers).status_code

    assert status() == 200
    file.write_text(f"{TOKEN}\n")
    assert (status(), status(TOKEN)) == (401, 200)
    file.write_text("another-token-of-some-length")
    assert status(TOKEN) == 401
    file.write_text("short")
    assert (status("short"), status()) == (503, 503)
    file.write_bytes(b"\xff" * 20)
    assert status() == 503
    file.unlink()
    assert status() == 200


def test_a_client_that_asks_too_often_is_told_when_to_come_back(
    make_runtime: Callable[..., Runtime], clock: Any
) -> None:
    client = create_app(make_runtime(web_rate_limit=2)).test_client()
    answers = [client.get("/api/v1/models").status_code for _ in range(12)]
    assert answers == [200] * 10 + [429] * 2
    refused = client.get("/api/v1/models")
    assert int(refused.headers["Retry-After"]) >= 1
    clock.moment += timedelta(seconds=1)
    again = [client.get("/api/v1/models").status_code for _ in range(3)]
    assert again == [200, 200, 429]


@pytest.mark.parametrize("table", ["ticks", "bars_1m", "predictions", "scores"])
def test_an_export_is_a_table(client: FlaskClient, table: str) -> None:
    answer = client.get("/api/v1/export", query_string={"table": table})
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="BTC-USD_')
    lines = answer.text.splitlines()
    assert lines[0].startswith("feed,symbol,")
    assert len(lines) > 10
    assert len({line.count(",") for line in lines}) == 1


@pytest.mark.parametrize("table", ["ticks", "bars_1m", "predictions", "scores"])
def test_an_export_as_parquet_has_the_same_rows(client: FlaskClient, table: str) -> None:
    query = {"table": table, "format": "parquet"}
    answer = client.get("/api/v1/export", query_string=query)
    assert answer.mimetype == "application/vnd.apache.parquet"
    assert answer.headers["Content-Disposition"].endswith('.parquet"')
    rows = pq.read_table(io.BytesIO(answer.data)).to_pylist()
    plain = client.get("/api/v1/export", query_string={"table": table}).text.splitlines()
    assert list(rows[0]) == plain[0].split(",")
    assert len(rows) == len(plain) - 1


def test_an_export_that_fails_is_cut_off_and_one_that_nobody_reads_ends(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def forever(_connection: object, _selection: object, out: IO[bytes]) -> None:
        try:
            while True:
                out.write(bytes(1 << 16))
        finally:
            ended.set()

    def broken(_connection: object, _selection: object, out: IO[bytes]) -> None:
        out.write(b"PAR1")
        raise OperationalError("SELECT", {}, Exception("the store is gone"))

    client = create_app(runtime).test_client()
    address = "/api/v1/export?format=parquet"
    monkeypatch.setattr("web_app.api.export.write_rows", forever)
    answer = client.get(address, buffered=False)
    assert next(iter(answer.response))
    answer.close()
    assert ended.wait(10)
    monkeypatch.setattr("web_app.api.export.write_rows", broken)
    with pytest.raises(OperationalError, match="the store is gone"):
        client.get(address, buffered=True)
