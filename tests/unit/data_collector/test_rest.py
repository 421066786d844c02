import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from tests.unit.data_collector.conftest import FakeClock

from data_collector.errors import (
    AnswerError,
    BackOffError,
    RefusedForGoodError,
    RetryError,
    UnsupportedSymbolError,
    VenueError,
)
from data_collector.rest import Outcome, RestVenue, check_status, make_client
from data_collector.venues import ADAPTERS, Observation

Handler = Callable[[httpx.Request], httpx.Response]

TICKER = {"trade_id": 1, "price": "10", "size": "1", "time": "2026-01-01T00:00:00Z"} | {
    "bid": "9",
    "ask": "11",
}
BOOK = {"bids": [["9.5", "1", 1]], "asks": [["10.5", "2", 1]], "time": "2026-01-01T00:00:01Z"}


def observe(
    handler: Handler, symbols: tuple[str, ...] = ("BTC-USD",), timeout_s: float = 1.0
) -> dict[str, Outcome]:
    async def run() -> dict[str, Outcome]:
        transport = httpx.MockTransport(handler)
        adapter = ADAPTERS["coinbase"]
        async with httpx.AsyncClient(
            transport=transport, base_url="http://venue/coinbase"
        ) as client:
            venue = RestVenue(adapter, client, adapter.plan(symbols, 1.0) or (), FakeClock())
            return await venue.observe(symbols, timeout_s)

    return asyncio.run(run())


def answer(request: httpx.Request) -> httpx.Response:
    path = request.url.path
    body = TICKER if path.endswith("ticker") else BOOK if path.endswith("book") else []
    return httpx.Response(200, json=body)


def test_joins_the_answers() -> None:
    seen = observe(answer)["BTC-USD"]
    assert isinstance(seen, Observation)
    assert (str(seen.price), str(seen.bid), str(seen.ask_size)) == ("10", "9.5", "2")


def test_an_optional_request_that_fails_leaves_its_part_out() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("book"):
            raise httpx.ReadError("reset")
        return answer(request)

    seen = observe(handler)["BTC-USD"]
    assert isinstance(seen, Observation)
    assert (str(seen.bid), seen.bid_size) == ("9", None)


def test_a_limit_on_an_optional_request_is_not_ignored() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("book"):
            return httpx.Response(429, headers={"Retry-After": "7"})
        return answer(request)

    seen = observe(handler)["BTC-USD"]
    assert isinstance(seen, BackOffError)
    assert seen.retry_after_s == 7


def test_one_unknown_symbol_does_not_harm_the_others() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if "FOO-USD" in request.url.path:
            return httpx.Response(404, json={"message": "NotFound"})
        return answer(request)

    seen = observe(handler, ("BTC-USD", "FOO-USD"))
    assert isinstance(seen["BTC-USD"], Observation)
    assert isinstance(seen["FOO-USD"], UnsupportedSymbolError)


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        httpx.DecodingError("gzip"),
    ],
)
def test_transport_failures_are_to_be_retried(error: httpx.HTTPError) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise error

    assert isinstance(observe(handler)["BTC-USD"], RetryError)


def test_a_slow_answer_is_given_up_in_time() -> None:
    async def run() -> Outcome:
        async def slow(_request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(5)
            return httpx.Response(200)

        adapter = ADAPTERS["kraken"]
        async with httpx.AsyncClient(
            transport=httpx.MockTransport(slow), base_url="http://venue"
        ) as client:
            venue = RestVenue(adapter, client, adapter.plan(["BTC-USD"], 1) or (), FakeClock())
            return (await venue.observe(["BTC-USD"], 0.05))["BTC-USD"]

    outcome = asyncio.run(run())
    assert isinstance(outcome, RetryError)
    assert "0.05 s" in str(outcome)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (429, BackOffError),
        (418, BackOffError),
        (451, RefusedForGoodError),
        (403, RefusedForGoodError),
        (404, UnsupportedSymbolError),
        (500, RetryError),
        (503, RetryError),
        (302, RetryError),
        (400, AnswerError),
    ],
)
def test_what_a_status_means(status: int, expected: type[VenueError]) -> None:
    headers = {"Location": "/"} if status == 302 else None
    response = httpx.Response(status, text="said", headers=headers)
    with pytest.raises(expected, match=f"HTTP {status}"):
        check_status(response, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("5", 5.0), ("Thu, 01 Jan 2026 00:02:00 GMT", 120.0), ("soon", None), ("", None)],
)
def test_retry_after_in_both_forms(header: str, seconds: float | None) -> None:
    response = httpx.Response(429, headers={"Retry-After": header})
    with pytest.raises(BackOffError) as caught:
        check_status(response, datetime(2026, 1, 1, tzinfo=UTC))
    assert caught.value.retry_after_s == seconds


def test_a_proxy_is_not_used_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert not make_client("http://127.0.0.1:5050/coinbase", 1).trust_env
    assert make_client("https://api.exchange.coinbase.com", 1).trust_env


def test_a_lean_question_leaves_the_optional_requests_out() -> None:
    paths: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return answer(request)

    async def run() -> dict[str, Outcome]:
        adapter = ADAPTERS["coinbase"]
        async with httpx.AsyncClient(
            transport=httpx.MockTransport(handler), base_url="http://venue"
        ) as client:
            venue = RestVenue(adapter, client, adapter.plan(["BTC-USD"], 1.0) or (), FakeClock())
            return await venue.observe(["BTC-USD"], 1.0, lean=True)

    seen = asyncio.run(run())["BTC-USD"]
    assert isinstance(seen, Observation)
    assert (str(seen.bid), seen.bid_size) == ("9", None)
    assert paths == ["/products/BTC-USD/ticker"]
