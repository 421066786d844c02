"""Operations of the simulator: its state, and faults on request (from this machine only)."""

import ipaddress
import json

from aiohttp import web

from common.log import get_logger
from exchange_simulator.errors import FaultScriptError
from exchange_simulator.faults import parse_faults
from exchange_simulator.server import Exchange

__all__ = ["add_admin", "status_of"]

_log = get_logger(__name__)


def status_of(exchange: Exchange) -> dict[str, object]:
    """Return the source's state and the faults that are going on or to come."""
    now_us = exchange.now_us
    return {"market": exchange.market.describe(now_us), "faults": exchange.faults.describe(now_us)}


def add_admin(app: web.Application, exchange: Exchange) -> None:
    """Add ``/status``, and ``/admin/faults`` to see (GET), add (POST) and clear (DELETE) faults."""

    async def status(_request: web.Request) -> web.Response:
        return web.json_response(status_of(exchange))

    async def show(request: web.Request) -> web.Response:
        _require_loopback(request)
        return web.json_response(exchange.faults.describe(exchange.now_us))

    async def add(request: web.Request) -> web.Response:
        _require_loopback(request)
        try:
            faults = parse_faults(await request.json(), "body")
        except (FaultScriptError, UnicodeDecodeError, json.JSONDecodeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        exchange.faults.add(faults, exchange.now_us)
        _log.warning("faults requested", faults=[fault.kind for fault in faults])
        return web.json_response(exchange.faults.describe(exchange.now_us))

    async def clear(request: web.Request) -> web.Response:
        _require_loopback(request)
        exchange.faults.clear()
        _log.info("faults cleared")
        return web.json_response([])

    app.router.add_get("/status", status)
    app.router.add_get("/admin/faults", show)
    app.router.add_post("/admin/faults", add)
    app.router.add_delete("/admin/faults", clear)


def _require_loopback(request: web.Request) -> None:
    if not ipaddress.ip_address(request.remote or "0.0.0.0").is_loopback:  # noqa: S104 - a stranger
        raise web.HTTPForbidden(text="faults can be asked for from this machine only")
