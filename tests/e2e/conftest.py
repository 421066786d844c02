"""One instance, built once, on which the lifecycle tests work in the order of their file."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.local_platform import LocalPlatform, copy_checkout

PORTS = ("web_app_port", "kafka_ui_port", "kafka_port", "zookeeper_port", "simulator_port")


def free_ports(count: int) -> list[int]:
    """Return ``count`` free loopback ports, held together so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def platform(checkout: Path) -> Iterator[LocalPlatform]:
    home = Path(tempfile.mkdtemp(prefix="bp"))  # short: a socket's path is limited
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    platform = LocalPlatform(checkout, home, ports=ports)
    yield platform
    platform.run("shutdown.yml", mode="delete", confirm="true")
    for process in platform.processes().values():
        process.kill()
    shutil.rmtree(home, ignore_errors=True)
