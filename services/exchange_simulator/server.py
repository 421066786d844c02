"""The venues' REST routes behind rate limits and faults, on aiohttp."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from common.clock import Clock, to_micros
from exchange_simulator import metrics
from exchange_simulator.faults import ActiveFaults, Fault
from exchange_simulator.inquiry import Answer, Inquiry, Route
from exchange_simulator.ledger import NoLedger
from exchange_simulator.limits import RateLimits
from exchange_simulator.market import Market
from exchange_simulator.venues import binance, coinbase, kraken

__all__ = ["Exchange", "add_venues", "inquire", "refuse", "reset"]

_ROUTES: dict[str, Sequence[Route]] = {
    "coinbase": coinbase.ROUTES,
    "binance": binance.ROUTES,
    "kraken": kraken.ROUTES,
}
_TOO_MANY = {
    "coinbase": coinbase.TOO_MANY,
    "binance": binance.TOO_MANY,
    "kraken": kraken.TOO_MANY,
}
_REGION = {
    "code": 0,
    "msg": "Service unavailable from a restricted location according to 'b. Eligibility' in the "
    "terms. Please contact customer service if you believe you received this message in error.",
}
_STATUS = {"rate_limited": 429, "banned": 418, "region": 451, "forbidden": 403}
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: closing sends RST


@dataclass
class Exchange:
    """Everything that a request needs."""

    market: Market
    faults: ActiveFaults
    limits: RateLimits
    clock: Clock
    ledger: NoLedger = field(default_factory=NoLedger)

    @property
    def now_us(self) -> int:
        """Return the present."""
        return to_micros(self.clock.now())


def add_venues(app: web.Application, exchange: Exchange) -> None:
    """Add every venue's routes below its prefix; anything else there is that venue's 404."""
    for venue, routes in _ROUTES.items():
        for route in routes:
            app.router.add_get(f"/{venue}{route.path}", _handler(exchange, venue, route))
        unknown = Route("", 1, lambda _inquiry, v=venue: _not_found(v))  # type: ignore[misc]
        app.router.add_get(f"/{venue}/{{tail:.*}}", _handler(exchange, venue, unknown))


def _not_found(venue: str) -> Answer:
    return kraken.UNKNOWN_METHOD if venue == "kraken" else coinbase.NOT_FOUND


def _handler(
    exchange: Exchange, venue: str, route: Route
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        asked_us = exchange.now_us
        struck = exchange.faults.match(venue, request.path_qs, asked_us)
        for _, fault in struck:
            metrics.FAULTS.labels(venue, fault.kind).inc()
        await asyncio.sleep(sum(fault.delay_s for _, fault in struck if fault.kind == "slow"))
        headers: dict[str, str] = {}
        response = refuse(venue, struck, request)
        if response is None:
            response, headers = _limited(exchange, venue, route, request)
        if response is None:
            inquiry = inquire(exchange, venue, struck, request)
            response = _to_response(route.answer(inquiry), struck)
        response.headers.update(headers)
        metrics.REQUESTS.labels(venue, response.status).inc()
        if not any(fault.kind == "reset" for _, fault in struck):
            await exchange.ledger.deliver(request, response, venue, asked_us, struck)
        return response

    return handle


def inquire(
    exchange: Exchange, venue: str, struck: Sequence[tuple[int, Fault]], request: web.Request
) -> Inquiry:
    """Return the question with the faults that touch its content."""
    at_us = exchange.now_us
    skew_us, absurd = 0, None
    for start_us, fault in struck:
        if fault.kind == "stale":
            at_us = min(at_us, start_us)
        elif fault.kind == "clock_skew":
            skew_us += int(fault.skew_s * 1e6)
        elif fault.kind == "absurd":
            absurd = fault.value
    return Inquiry(
        venue=venue,
        market=exchange.market,
        at_us=at_us,
        clock_us=at_us + skew_us,
        query=request.query,
        parts=request.match_info,
        absurd=absurd,
    )


def refuse(
    venue: str, struck: Sequence[tuple[int, Fault]], request: web.Request
) -> web.Response | None:
    """Return the answer of the first fault that refuses the request, if there is one."""
    for _, fault in struck:
        if fault.kind == "reset":
            reset(request)
            return web.Response(status=500)  # goes nowhere
        if fault.kind == "server_error":
            return web.Response(status=fault.status, text="<html>Internal error</html>")
        if fault.kind in _STATUS:
            status = _STATUS[fault.kind]
            body = _REGION if status == 451 else _TOO_MANY[venue].body
            seconds = {"Retry-After": str(fault.retry_after_s)} if status in (429, 418) else None
            return web.json_response(body, status=status, headers=seconds)
    return None


def reset(request: web.Request) -> None:
    """Reset the connection."""
    transport = request.transport
    if transport is not None:
        raw: socket.socket = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()


def _limited(
    exchange: Exchange, venue: str, route: Route, request: web.Request
) -> tuple[web.Response | None, dict[str, str]]:
    """Return the refusal, if there is one, and the headers that any answer gets."""
    client = request.remote or ""
    verdict = exchange.limits.take(venue, client, route.weight, exchange.now_us)
    headers = {"X-MBX-USED-WEIGHT-1M": str(verdict.used)} if venue == "binance" else {}
    if verdict.allowed:
        return None, headers
    if venue == "binance":
        headers["Retry-After"] = str(verdict.retry_after_s)
    answer = _TOO_MANY[venue]
    status = 418 if verdict.banned else answer.status
    return web.json_response(answer.body, status=status), headers


def _to_response(answer: Answer, struck: Sequence[tuple[int, Fault]]) -> web.Response:
    text = json.dumps(answer.body, separators=(",", ":"))
    if any(fault.kind == "malformed" for _, fault in struck):
        text = text[: len(text) // 2]
    return web.Response(text=text, status=answer.status, content_type="application/json")
