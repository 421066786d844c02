"""The tunnel's process against an API server that comes and goes, and pods that are replaced."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from tests.support.fake_api_server import FakeApiServer

_ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.integration


@asynccontextmanager
async def pod(name: str) -> AsyncIterator[tuple[int, Callable[[], Awaitable[None]]]]:
    """Yield the port of a web server that answers with its name, and a function that ends it."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=name)

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1], runner.cleanup
    finally:
        await runner.cleanup()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@asynccontextmanager
async def tunnel(kubeconfig: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Yield the process, once it holds its port; ended by SIGTERM."""
    arguments = f"--namespace=n --service=web-app --port={port} --kubeconfig={kubeconfig}".split()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tunnel", *arguments,
        env={**os.environ, "PYTHONPATH": str(_ROOT / "services")},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    try:
        assert f"http://localhost:{port} is open" in line, line
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 20)


class Load:
    """Requests one after the other on kept connections; anything but 200 is a failure."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        self.answers: list[str] = []
        self.failures: list[str] = []

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            while True:
                try:
                    answer = await client.get(self.url)
                    (self.answers if answer.status_code == 200 else self.failures).append(
                        answer.text
                    )
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                await asyncio.sleep(0.005)


async def until(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.02)


async def replaced_and_started_anew(kubeconfig: Path) -> Load:
    async with AsyncExitStack() as stack:
        port = free_port()
        api = await stack.enter_async_context(FakeApiServer(kubeconfig))
        old, end_old = await stack.enter_async_context(pod("old"))
        new, _ = await stack.enter_async_context(pod("new"))
        await api.set_pods(old=old)
        await stack.enter_async_context(tunnel(kubeconfig, port))
        load = Load(port)
        work = asyncio.create_task(load.run())
        await until(lambda: load.answers.count("old") > 20)

        await end_old()  # killed, before anybody says so
        await asyncio.sleep(0.3)
        await api.set_pods(new=new)
        await until(lambda: load.answers.count("new") > 20)

        await api.stop()  # the cluster stops, and comes back at another address
        await asyncio.sleep(0.3)
        await api.start()
        seen = len(load.answers)
        await until(lambda: len(load.answers) > seen + 20)

        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    return load


def test_neither_a_killed_pod_nor_a_restarted_cluster_costs_a_request(tmp_path: Path) -> None:
    load = asyncio.run(replaced_and_started_anew(tmp_path / "config"))
    assert load.failures == []


async def ends_and_conflict(kubeconfig: Path) -> tuple[int, int]:
    port = free_port()
    async with FakeApiServer(kubeconfig), tunnel(kubeconfig, port) as first:
        with pytest.raises(AssertionError, match=f"port {port} is taken by another program"):
            async with tunnel(kubeconfig, port):
                pass
        async with httpx.AsyncClient(trust_env=False) as client:
            asked = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/", timeout=30))
            await asyncio.sleep(0.2)
            first.send_signal(signal.SIGTERM)  # somebody waits for a pod that never comes
            ended = await asyncio.wait_for(first.wait(), 10)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
    with socket.socket() as probe:
        refused = probe.connect_ex(("127.0.0.1", port))
    return ended, refused


def test_it_ends_in_time_and_gives_its_port_back(tmp_path: Path) -> None:
    ended, refused = asyncio.run(ends_and_conflict(tmp_path / "config"))
    assert ended == 0
    assert refused
