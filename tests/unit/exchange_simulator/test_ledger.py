"""The ledger says what was delivered, and only that."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from tests.unit.exchange_simulator.test_server import START, FixedClock

from common.clock import to_micros
from common.errors import ConfigurationError
from exchange_simulator.faults import ActiveFaults, Fault
from exchange_simulator.ledger import open_ledger
from exchange_simulator.limits import RateLimits
from exchange_simulator.process import ProcessMarket
from exchange_simulator.server import Exchange, add_venues

TICKER = "/coinbase/products/BTC-USD/ticker"


def lines_after(path: Path, faults: list[Fault], *asked: str) -> list[dict[str, Any]]:
    async def run() -> None:
        start = to_micros(START)
        exchange = Exchange(
            market=ProcessMarket(1, ["BTC-USD"]),
            faults=ActiveFaults(faults, start, 1),
            limits=RateLimits(0),
            clock=FixedClock(),
        )
        app = web.Application()
        add_venues(app, exchange)
        with open_ledger(path) as exchange.ledger:
            async with TestClient(TestServer(app)) as client:
                for each in asked:
                    try:
                        answer = await client.get(each)
                        await answer.read()
                    except aiohttp.ClientError:
                        continue

    asyncio.run(run())
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_answer_is_noted_as_it_was_sent(tmp_path: Path) -> None:
    (line,) = lines_after(tmp_path / "ledger", [], f"{TICKER}?x=1")
    assert (line["venue"], line["path"], line["status"]) == ("coinbase", f"{TICKER}?x=1", 200)
    assert (line["at_us"], line["faults"]) == (to_micros(START), [])
    assert set(json.loads(line["body"])) >= {"bid", "ask", "price"}


def test_faults_stand_beside_what_they_did_and_resets_are_no_answers(tmp_path: Path) -> None:
    faults = [
        Fault(kind="malformed", path="a=1"),
        Fault(kind="rate_limited", path="a=2"),
        Fault(kind="reset", path="a=3"),
    ]
    asked = [f"{TICKER}?a={number}" for number in (1, 2, 3)]
    cut, refused = lines_after(tmp_path / "ledger", faults, *asked)
    assert (cut["faults"], cut["status"]) == (["malformed"], 200)
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut["body"])
    assert (refused["faults"], refused["status"]) == (["rate_limited"], 429)


def test_a_ledger_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="LEDGER_FILE"):
        open_ledger(tmp_path / "nowhere" / "ledger")
