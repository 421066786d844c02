"""One client's connection, carried to a pod and back.

What the client sent since the last answer is kept: where a pod closes without having answered, a
GET goes to the next pod. So neither a rolling update nor a killed pod costs a request.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from tunnel.channel import Channel
from tunnel.errors import LostError, NoPodError, RefusedError
from tunnel.roster import Roster, Target

__all__ = ["Passage"]

_READ_BYTES = 64 * 1024
_KEPT_BYTES = 64 * 1024
_REPEATABLE = (b"GET ", b"HEAD ")
_DEATHS = 3  # pods that may end under one request
_PAUSE_S = 0.25  # before a pod that refused is asked again
_UNDER_WAY_S = 0.02  # what a client sent before it could know that the pod has closed

log = logging.getLogger(__name__)

Open = Callable[[Target], Awaitable[Channel]]


class Passage:
    """Carries one connection; `run` ends with it. ``patience_s``: how long a pod is waited for."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        roster: Roster,
        open_channel: Open,
        patience_s: float = 20.0,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._roster, self._open = roster, open_channel
        self._patience_s = patience_s
        self._unanswered = bytearray()
        self._kept_all = True
        self._answers = 0
        self._client_ended = False

    async def run(self) -> None:
        """Carry the connection until either end closes it."""
        first = await self._reader.read(_READ_BYTES)  # nothing is opened for who says nothing
        if not first:
            return
        self._keep(first)
        try:
            await self._through_pods()
        except NoPodError as error:
            await self._apologise(str(error))

    async def _through_pods(self) -> None:
        """Go from pod to pod until the connection ends or patience does."""
        now = asyncio.get_running_loop().time
        refused: set[Target] = set()
        deadline, deaths = now() + self._patience_s, 0
        while True:
            answers = self._answers
            target = await self._next(refused, deadline - now())
            refused.add(target)
            try:
                await self._visit(target)
                again, deaths = self._may_repeat() or await self._has_more(), deaths + 1
            except RefusedError as error:
                log.info("refused: %s", error)
                again = self._kept_all
            if self._answers > answers:
                refused.clear()
                deadline, deaths = now() + self._patience_s, 1
            if self._client_ended or not again or deaths > _DEATHS:
                return

    async def _visit(self, target: Target) -> None:
        """Be connected to one pod until it closes; raises `RefusedError` when it took nothing."""
        channel = await self._open(target)
        try:
            await self._carry(channel)
        except LostError as error:
            log.info("lost: %s: %s", target.pod, error)
        finally:
            await channel.close()

    async def _next(self, refused: set[Target], within_s: float) -> Target:
        """Return another pod; one that refused only when there is no other.

        Raises `NoPodError` after ``within_s``.
        """
        if within_s <= 0:
            raise NoPodError(self._roster.trouble or "no pod takes a connection")
        if refused and refused >= set(self._roster.targets):
            refused.clear()
            await asyncio.sleep(_PAUSE_S)
        return await self._roster.next(within_s, frozenset(refused))

    async def _carry(self, channel: Channel) -> None:
        """Send what is unanswered, then copy both ways until one end closes."""
        await channel.send(bytes(self._unanswered))
        back = asyncio.create_task(self._copy_back(channel))
        forth = asyncio.create_task(self._copy_forth(channel))
        try:
            await asyncio.wait({back, forth}, return_when=asyncio.FIRST_COMPLETED)
            if back.done():
                back.result()
        finally:
            for task in (back, forth):
                task.cancel()
            await asyncio.gather(back, forth, return_exceptions=True)

    async def _copy_back(self, channel: Channel) -> None:
        async for data in channel.received():
            self._unanswered.clear()
            self._kept_all = True
            self._answers += 1
            self._writer.write(data)
            await self._writer.drain()

    async def _copy_forth(self, channel: Channel) -> None:
        while data := await self._read():
            self._keep(data)
            try:
                await channel.send(data)
            except LostError:
                await asyncio.Event().wait()  # the way back ends too, and decides what follows
        self._client_ended = True

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(_READ_BYTES)
        except OSError:
            return b""

    def _keep(self, data: bytes) -> None:
        self._kept_all = self._kept_all and len(self._unanswered) + len(data) <= _KEPT_BYTES
        if self._kept_all:
            self._unanswered += data

    def _may_repeat(self) -> bool:
        return self._kept_all and self._unanswered.startswith(_REPEATABLE)

    async def _has_more(self) -> bool:
        """Take what was sent while the pod closed, after all was answered: no pod has seen it."""
        if self._unanswered or self._client_ended:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_UNDER_WAY_S):
                data = await self._read()
                self._client_ended = not data
                self._keep(data)
        return bool(self._unanswered) and self._kept_all

    async def _apologise(self, why: str) -> None:
        """Answer the client's request ourselves, as a gateway does."""
        text = f"{why}\nType: ansible-playbook status.yml\n".encode()
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(text)}\r\nRetry-After: 2\r\nConnection: close\r\n\r\n"
        )
        log.warning("answered 503: %s", why)
        self._writer.write(head.encode() + text)
        await self._writer.drain()
