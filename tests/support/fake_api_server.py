"""As much of Kubernetes' API server as a tunnel asks: EndpointSlices, their changes, port-forward.

Pods are ports of this machine. The real server's habits that matter are kept: the first frame of
each channel holds the port, an error is words on channel 1, a pod's close closes the WebSocket.
"""

import asyncio
import contextlib
import json
import struct
from pathlib import Path
from typing import Any, Self

import yaml
from aiohttp import WSMsgType, web

__all__ = ["FakeApiServer"]

_SLICES = "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
_FORWARD = "/api/v1/namespaces/{namespace}/pods/{pod}/portforward"


class FakeApiServer:
    """One Service of one namespace; ``pods`` maps the ready pods' names to ports."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.pods: dict[str, int] = {}
        self._version = 1
        self._watchers: set[web.StreamResponse] = set()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen on a free port and write it into the kubeconfig."""
        application = web.Application()
        application.router.add_get(_SLICES, self._slices)
        application.router.add_get(_FORWARD, self._forward)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.kubeconfig.write_text(yaml.safe_dump(kubeconfig_of(f"http://{host}:{port}")))

    async def stop(self) -> None:
        """End every connection, as a stopped cluster does."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    async def set_pods(self, **pods: int) -> None:
        """Change which pods are ready, and tell the watchers."""
        self.pods, self._version = pods, self._version + 1
        line = json.dumps({"type": "MODIFIED", "object": self._slice()}).encode() + b"\n"
        for watcher in list(self._watchers):
            await watcher.write(line)

    def _slice(self) -> dict[str, Any]:
        return {
            "metadata": {"name": "web-app-x", "resourceVersion": str(self._version)},
            "ports": [{"name": "http", "port": 5001}],
            "endpoints": [
                {"targetRef": {"kind": "Pod", "name": pod}, "conditions": {"ready": True}}
                for pod in self.pods
            ],
        }

    async def _slices(self, request: web.Request) -> web.StreamResponse:
        assert request.query["labelSelector"] == "kubernetes.io/service-name=web-app"
        if "watch" not in request.query:
            version = {"resourceVersion": str(self._version)}
            return web.json_response({"metadata": version, "items": [self._slice()]})
        answer = web.StreamResponse()
        await answer.prepare(request)
        self._watchers.add(answer)
        try:
            await asyncio.sleep(float(request.query["timeoutSeconds"]))
        finally:
            self._watchers.discard(answer)
        return answer

    async def _forward(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        port = struct.pack("<H", int(request.query["ports"]))
        for channel in (0, 1):
            await socket.send_bytes(bytes([channel]) + port)
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.pods[request.match_info["pod"]]
            )
        except (OSError, KeyError):
            await socket.send_bytes(b"\x01error forwarding port: connection refused")
            await socket.close()
            return socket
        back = asyncio.create_task(_copy_back(reader, socket))
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    writer.write(message.data[1:])
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return socket


async def _copy_back(reader: asyncio.StreamReader, socket: web.WebSocketResponse) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(4096):
            await socket.send_bytes(b"\x00" + data)
    await socket.close()


def kubeconfig_of(server: str) -> dict[str, Any]:
    """Return a kubeconfig with one context, ``fake``."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": {"server": server}}],
        "users": [{"name": "fake", "user": {"token": "t0ken"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        "current-context": "fake",
    }
