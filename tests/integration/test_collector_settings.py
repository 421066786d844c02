"""Wrong settings: one clear message, exit code 2, nothing begun."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.integration


def run(package: str, directory: Path, **variables: str) -> tuple[int, str]:
    finished = subprocess.run(
        [sys.executable, "-m", package],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "services"), **variables},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return finished.returncode, finished.stderr


@pytest.mark.parametrize(
    ("package", "variables", "said"),
    [
        ("data_collector", {"EXCHANGES": "mtgox"}, "coinbase, binance, kraken"),
        ("data_collector", {"SPOOL_DIR": "/dev/null/spool"}, "SPOOL_DIR /dev/null/spool"),
        ("data_collector", {"COLLECTOR_MODE": "telepathy"}, "'rest' or 'stream'"),
        ("exchange_simulator", {"REPLAY_FILE": "none_bbo.parquet"}, "no such file"),
        ("exchange_simulator", {"FAULTS_FILE": "none.yml"}, "FAULTS_FILE none.yml"),
        ("exchange_simulator", {"SYMBOLS": "FOO-USD"}, "no such market: FOO-USD"),
        ("exchange_simulator", {"REPLAY_SPEED": "-1"}, "REPLAY_SPEED"),
    ],
)
def test_one_clear_message(
    tmp_path: Path, package: str, variables: dict[str, str], said: str
) -> None:
    code, error = run(package, tmp_path, SIMULATOR_PORT="0", **variables)
    assert code == 2
    assert said in error
    assert "Traceback" not in error


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        code, error = run("exchange_simulator", tmp_path, SIMULATOR_PORT=port)
    assert code == 2
    assert f"SIMULATOR_PORT {port}" in error
    assert "Traceback" not in error
