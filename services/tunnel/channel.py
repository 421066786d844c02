"""One connection to a port of a pod: the API server's port-forward over a WebSocket.

Each frame begins with its channel: 0 carries data, 1 carries one error in words. The first frame
of each channel holds the port's number. There is no half close: either end closes the whole.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from tunnel.errors import LostError, RefusedError

__all__ = ["Channel", "WebSocketChannel"]

_DATA, _ERROR = 0, 1
_SEND_BYTES = 32 * 1024
_CLOSE_S = 1.0


class Channel(Protocol):
    """A stream of bytes to a pod and back."""

    async def send(self, data: bytes) -> None:
        """Send bytes; raises `LostError` when the connection is gone."""

    def received(self) -> AsyncIterator[bytes]:
        """Yield what comes back until the pod closes.

        Raises `RefusedError` when nobody listens in the pod, `LostError` when the way broke.
        """

    async def close(self) -> None:
        """Close both directions; may be called twice."""


class WebSocketChannel:
    """`Channel` over an open WebSocket of the API server."""

    def __init__(self, socket: ClientWebSocketResponse, session: ClientSession) -> None:
        self._socket, self._session = socket, session

    async def send(self, data: bytes) -> None:
        """Send bytes in frames that the API server takes."""
        try:
            for start in range(0, len(data), _SEND_BYTES):
                await self._socket.send_bytes(bytes([_DATA]) + data[start : start + _SEND_BYTES])
        except OSError as error:
            raise LostError(str(error)) from error

    async def received(self) -> AsyncIterator[bytes]:
        """Yield the data channel without the ports' numbers; see `Channel`."""
        begun: set[int] = set()
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY or not message.data:
                continue
            channel, body = message.data[0], message.data[1:]
            if channel not in begun:
                begun.add(channel)
                body = body[2:]
            if channel == _ERROR and body:
                text = body.decode(errors="replace").strip()
                raise (RefusedError if "connection refused" in text.lower() else LostError)(text)
            if channel == _DATA and body:
                yield body

    async def close(self) -> None:
        """Close the WebSocket and its connection."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._socket.close()
        except TimeoutError:
            pass  # nobody answers any more
        finally:
            await self._session.close()
