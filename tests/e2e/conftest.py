"""One instance, built once, on which the lifecycle tests work in the order of their file."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.cluster_platform import ClusterPlatform, why_no_cluster
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


@pytest.fixture(scope="session", params=["local", "cluster"])
def platform(request: pytest.FixtureRequest, checkout: Path) -> Iterator[LocalPlatform]:
    """The contract is one, the target its parameter."""
    kind = {"local": LocalPlatform, "cluster": ClusterPlatform}[request.param]
    if kind is ClusterPlatform and why_no_cluster():
        pytest.skip(why_no_cluster())
    # Short, as a socket's path is limited, and with a space, as people have them.
    home = Path(tempfile.mkdtemp(prefix="b p"))
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    platform = kind(checkout, home, ports=ports)
    yield platform
    platform.run("shutdown.yml", mode="delete", confirm="true")
    for process in platform.processes().values():
        process.kill()
    shutil.rmtree(home, ignore_errors=True)
