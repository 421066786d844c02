"""Every mistake gives one clear message, a failing exit code, and changes nothing."""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.local_platform import LocalPlatform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MISTAKES = [
    ("update.yml", {"service": "webapp"}, ["webapp", "web-app"]),
    ("update.yml", {}, ["service"]),
    ("shutdown.yml", {"mode": "halt"}, ["halt", "services", "pause", "stop", "delete"]),
    ("logs.yml", {"tail": "many"}, ["tail", "many"]),
    ("logs.yml", {"filter": "errors"}, ["errors", "predictions"]),
    ("tunnels.yml", {"state": "up"}, ["up", "started"]),
    ("build.yml", {"market_data": "real"}, ["real", "simulated"]),
    ("build.yml", {"web_app_port": "http"}, ["web_app_port", "http"]),
    ("build.yml", {"kafka_port": "70000"}, ["kafka_port", "70000"]),
    ("build.yml", {"symbols": "bitcoin"}, ["bitcoin", "BTC-USD"]),
    ("build.yml", {"instance": "Not/valid"}, ["Not/valid"]),
    ("build.yml", {"target": "docker"}, ["docker", "local"]),
    ("build.yml", {"market_data": "replay"}, ["replay_file"]),
    ("build.yml", {"market_data": "replay", "replay_file": "/no/such.parquet"}, ["/no/such"]),
    ("restore.yml", {}, ["from is missing", "-e from=/path/to/backup.sqlite3"]),
    ("restore.yml", {"from": "/no/such"}, ["there is no /no/such"]),
    ("import.yml", {"from": "/etc/passwd"}, ["is no directory"]),
    ("backup.yml", {"to": "/no/such/file"}, ["there is no /no/such"]),
    ("export.yml", {"since": "yesterday"}, ["yesterday", "2026-01-31T12:00"]),
    ("export.yml", {"format": "xlsx"}, ["xlsx", "parquet"]),
    ("models.yml", {"action": "rolback"}, ["rolback", "Did you mean rollback"]),
    ("models.yml", {"action": "rollback", "version": "latest"}, ["latest", "action=list"]),
    ("build.yml", {"web_token": "too-short"}, ["web_token", "16 to 256", "(not shown)"]),
    ("build.yml", {"monitoring": "perhaps"}, ["monitoring=perhaps", "neither true nor false"]),
    ("build.yml", {"web_app_prot": "5002"}, ["web_app_prot", "web_app_port"]),
]


@pytest.fixture
def nothing_built(checkout: Path) -> Iterator[LocalPlatform]:
    with tempfile.TemporaryDirectory(prefix="bp") as home:  # short: a socket's path is limited
        platform = LocalPlatform(checkout, Path(home))
        yield platform
        for process in platform.processes().values():  # there are none unless a test failed
            process.kill()


@pytest.mark.parametrize(("playbook", "variables", "words"), MISTAKES)
def test_a_mistake_is_explained_once(
    nothing_built: LocalPlatform, playbook: str, variables: dict[str, object], words: list[str]
) -> None:
    run = nothing_built.run(playbook, **variables)
    assert run.code != 0, run.output
    for word in words:
        assert word in run.output, run.output
    assert "Traceback" not in run.output
    assert not (nothing_built.data_home / "bitcoin-prediction").exists()


@pytest.mark.parametrize(
    "playbook",
    [
        "startup.yml",
        "status.yml",
        "shutdown.yml",
        "logs.yml",
        "backup.yml",
        "export.yml",
        "models.yml",
    ],
)
def test_commands_before_the_first_build_say_what_to_type(
    nothing_built: LocalPlatform, playbook: str
) -> None:
    run = nothing_built.run(playbook)
    assert run.code != 0
    assert "make build" in run.output


def test_a_taken_port_is_named_with_its_holder(nothing_built: LocalPlatform) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = nothing_built.run("build.yml", market_data="simulated", web_app_port=port)
    assert run.code != 0
    assert f"{port}" in run.output
    assert "pid" in run.output
    assert "-e web_app_port=" in run.output
    assert not nothing_built.directory.exists()
