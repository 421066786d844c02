"""The venues' WebSockets: what happened since the last step goes out, ten times a second."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from aiohttp import WSMsgType, web

from exchange_simulator import metrics
from exchange_simulator.faults import Fault
from exchange_simulator.inquiry import Inquiry
from exchange_simulator.server import Exchange, inquire, refuse, reset
from exchange_simulator.venues import binance_stream, coinbase_stream, kraken_stream

__all__ = ["add_streams"]

_STEP_S = 0.1
_SUBSCRIBE_WITHIN_S = 5.0


class Session(Protocol):
    """What one client of one venue has subscribed to, and has been told."""

    def greet(self) -> Sequence[str]:
        """Return what is said as soon as the connection is open."""
        ...

    def receive(self, text: str, inquiry: Inquiry) -> Sequence[str]:
        """Return the replies to a client's message."""
        ...

    def step(self, inquiry: Inquiry, *, lossy: bool) -> Sequence[str]:
        """Return what is new; if ``lossy``, data is passed over and lost, heartbeats are not."""
        ...

    @property
    def subscribed(self) -> bool:
        """Return whether the client may stay."""
        ...


def add_streams(app: web.Application, exchange: Exchange) -> None:
    """Add the WebSocket address of each venue below its prefix."""

    async def coinbase(request: web.Request) -> web.StreamResponse:
        return await _serve(exchange, "coinbase", request, coinbase_stream.CoinbaseSession())

    async def binance(request: web.Request) -> web.StreamResponse:
        session = binance_stream.BinanceSession(request.query.get("streams", ""))
        return await _serve(exchange, "binance", request, session)

    async def kraken(request: web.Request) -> web.StreamResponse:
        return await _serve(exchange, "kraken", request, kraken_stream.KrakenSession())

    app.router.add_get("/coinbase/ws", coinbase)
    app.router.add_get("/binance/stream", binance)
    app.router.add_get("/kraken/ws", kraken)


async def _serve(
    exchange: Exchange, venue: str, request: web.Request, session: Session
) -> web.StreamResponse:
    refusal = refuse(venue, exchange.faults.match(venue, request.path_qs, exchange.now_us), request)
    if refusal is not None:
        metrics.REQUESTS.labels(venue, refusal.status).inc()
        return refusal
    socket = web.WebSocketResponse(heartbeat=20)
    await socket.prepare(request)
    metrics.STREAMS.labels(venue).inc()
    reader = asyncio.create_task(_read(exchange, venue, socket, session, request))
    try:
        await _write(exchange, venue, socket, session, request)
    except ConnectionError:
        pass  # the client has gone
    finally:
        reader.cancel()
        metrics.STREAMS.labels(venue).dec()
    return socket


async def _read(
    exchange: Exchange,
    venue: str,
    socket: web.WebSocketResponse,
    session: Session,
    request: web.Request,
) -> None:
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            inquiry = inquire(exchange, venue, (), request)
            for reply in session.receive(message.data, inquiry):
                await socket.send_str(reply)


async def _write(
    exchange: Exchange,
    venue: str,
    socket: web.WebSocketResponse,
    session: Session,
    request: web.Request,
) -> None:
    started_us = exchange.now_us
    for text in session.greet():
        await socket.send_str(text)
    while not socket.closed:
        await asyncio.sleep(_STEP_S)
        struck = exchange.faults.match(venue, request.path_qs, exchange.now_us)
        kinds = {fault.kind for _, fault in struck}
        if "reset" in kinds:
            reset(request)
            return
        late_us = exchange.now_us - started_us
        if not session.subscribed and late_us > _SUBSCRIBE_WITHIN_S * 1e6:
            await socket.close(code=1008, message=b"no subscription within 5 s")
            return
        if "stale" not in kinds:
            await _send_news(exchange, venue, socket, session, request, struck)


async def _send_news(
    exchange: Exchange,
    venue: str,
    socket: web.WebSocketResponse,
    session: Session,
    request: web.Request,
    struck: Sequence[tuple[int, Fault]],
) -> None:
    kinds = {fault.kind for _, fault in struck}
    inquiry = inquire(exchange, venue, struck, request)
    for text in session.step(inquiry, lossy="gap" in kinds):
        await socket.send_str(text[: len(text) // 2] if "malformed" in kinds else text)
