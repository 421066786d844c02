"""The port of this machine: held for as long as the tunnel runs, whatever becomes of the pods."""

import asyncio
import contextlib
import errno
import logging

from tunnel.errors import TunnelError
from tunnel.passage import Open, Passage
from tunnel.roster import Roster

__all__ = ["Listener"]

_BACKLOG = 512
_MOST = 2000  # connections at once; each is a WebSocket of the API server
_LAST_S = 5.0

log = logging.getLogger(__name__)


class Listener:
    """Accepts connections on a loopback port and carries each to a ready pod."""

    def __init__(self, port: int, roster: Roster, open_channel: Open) -> None:
        self._port, self._roster, self._open = port, roster, open_channel
        self._passages: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Hold the port; raises `TunnelError` when another program has it."""
        try:
            self._server = await asyncio.start_server(
                self._accept, "127.0.0.1", self._port, backlog=_BACKLOG
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise TunnelError(f"port {self._port} is taken by another program") from error
            raise
        log.info("http://localhost:%d is open", self._port)

    async def stop(self) -> None:
        """Give the port up, let what is under way end, and cut what does not."""
        if self._server is not None:
            self._server.close()
        if self._passages:
            await asyncio.wait(self._passages, timeout=_LAST_S)
        for task in self._passages:
            task.cancel()
        await asyncio.gather(*self._passages, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._passages) < _MOST:
            self._passages.add(task)
            task.add_done_callback(self._passages.discard)
            with contextlib.suppress(OSError, asyncio.CancelledError):  # the client has gone
                await Passage(reader, writer, self._roster, self._open).run()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
