"""Schemathesis plays the API's document against the API: thousands of valid and invalid queries."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tests.support.market_producer import Market, fill_store, open_store
from tests.support.web_process import WebProcess, free_port

from common.clock import SystemClock

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
HISTORY_S = 240
EXAMPLES = 460  # of each operation
CASES = 5_000
# Its answer has no end; tests/unit/web_app asks it the same kinds of questions.
ENDLESS = "/api/v1/stream"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebProcess]:
    """A server over a small store; Kafka is away, which no route may mind."""
    engine = open_store(tmp_path / "store.sqlite3")
    now = SystemClock().now().replace(microsecond=0)
    fill_store(engine, Market(), now - timedelta(seconds=HISTORY_S), HISTORY_S)
    engine.dispose()
    with WebProcess(
        tmp_path / "web.log",
        DATABASE_URL=f"sqlite:///{tmp_path}/store.sqlite3",
        KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}",
        FEED="simulated",
        WEB_RATE_LIMIT=0,
    ) as web:
        yield web.start()


@pytest.mark.timeout(900)  # a busy machine needs minutes for so many questions
def test_the_api_keeps_to_its_document_whatever_is_asked(web: WebProcess, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "schemathesis"), "run"]
    command += [f"{web.url}/api/v1/openapi.json", "--exclude-path", ENDLESS, "--checks", "all"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES)]
    command += ["--workers", "2", "--seed", "1", "--no-color"]
    path = os.pathsep.join(map(str, (ROOT / "services", ROOT)))
    hooks = {"PYTHONPATH": path, "SCHEMATHESIS_HOOKS": "tests.support.api_hooks"}
    ran = subprocess.run(
        command, cwd=tmp_path, env=os.environ | hooks, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-10_000:] + ran.stderr[-2_000:]
    cases = re.search(r"(\d+) generated, \d+ passed", ran.stdout)
    assert cases, ran.stdout
    assert int(cases[1]) >= CASES
    assert httpx.get(f"{web.url}/api/health", timeout=10).json()["components"]["store"]["ready"]
    long = httpx.get(f"{web.url}/api/v1/ticks?symbol={'A' * 9_000}", timeout=10)
    assert (long.status_code, long.json()["status"]) == (414, 414)
    assert long.headers["Content-Type"] == "application/problem+json"
