"""Entry point: ``python -m exchange_simulator``."""

import asyncio
import threading

from aiohttp import web

from common.clock import Clock, SystemClock, to_micros
from common.errors import ConfigurationError
from common.health import Check, Health
from common.lifecycle import run_service, stop_on_signals
from common.log import configure_logging, get_logger
from common.ops import OpsServer
from common.settings import load_settings
from common.wire import Feed
from exchange_simulator.admin import add_admin, status_of
from exchange_simulator.faults import ActiveFaults, load_faults
from exchange_simulator.ledger import open_ledger
from exchange_simulator.limits import RateLimits
from exchange_simulator.market import Market
from exchange_simulator.process import ProcessMarket
from exchange_simulator.recording import load_recording
from exchange_simulator.replay import ReplayMarket
from exchange_simulator.server import Exchange, add_venues
from exchange_simulator.settings import SimulatorSettings
from exchange_simulator.streams import add_streams

__all__ = ["main", "make_app"]

_log = get_logger(__name__)


def main() -> int:
    """Serve until SIGTERM; raises `ConfigurationError` before anything is bound."""
    settings = load_settings(SimulatorSettings)
    configure_logging(settings.service_name, settings.log_level)
    exchange = _make_exchange(settings, SystemClock())
    health = Health(status=lambda: status_of(exchange))
    health.ready["market"] = lambda: _quotes(exchange)
    stop = stop_on_signals()
    with (
        open_ledger(settings.ledger_file) as exchange.ledger,
        OpsServer(settings.ops_host, settings.ops_port, health),
    ):
        asyncio.run(_serve(settings, exchange, stop))
    _log.info("stopped")
    return 0


def _make_exchange(settings: SimulatorSettings, clock: Clock) -> Exchange:
    now_us = to_micros(clock.now())
    timeline = load_faults(settings.faults_file) if settings.faults_file else ()
    return Exchange(
        market=_make_market(settings, now_us),
        faults=ActiveFaults(timeline, now_us, settings.simulator_seed),
        limits=RateLimits(settings.simulator_rate_limit_factor),
        clock=clock,
    )


def _make_market(settings: SimulatorSettings, now_us: int) -> Market:
    speed = settings.replay_speed
    if settings.replay_file is None:
        return ProcessMarket(settings.simulator_seed, settings.symbols, speed, now_us)
    if len(settings.symbols) > 1:
        raise ConfigurationError(
            f"SYMBOLS: a recording holds one market, got {', '.join(settings.symbols)}"
        )
    recording = load_recording(settings.replay_file)
    return ReplayMarket(recording, settings.symbols[0], speed, now_us)


def _quotes(exchange: Exchange) -> Check:
    symbol = exchange.market.symbols[0]
    quote = exchange.market.quote("coinbase", symbol, exchange.now_us)
    return Check(ok=True, detail=f"{symbol} bid {quote.bid} ask {quote.ask}")


def make_app(exchange: Exchange, feed: Feed) -> web.Application:
    """Return the venues at the root, and again below the name of their feed.

    A collector that polls ``/simulated/coinbase`` never takes a recording for it, whoever is
    replaced first when an instance goes from one feed to another.
    """
    app, named = web.Application(), web.Application()
    for each in (app, named):
        add_streams(each, exchange)
        add_venues(each, exchange)
    add_admin(app, exchange)
    app.add_subapp(f"/{feed}", named)
    return app


async def _serve(settings: SimulatorSettings, exchange: Exchange, stop: threading.Event) -> None:
    app = make_app(exchange, "replay" if settings.replay_file else "simulated")
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    host, port = settings.simulator_host, settings.simulator_port
    try:
        await web.TCPSite(runner, host, port, shutdown_timeout=1).start()
    except OSError as error:
        await runner.cleanup()
        message = (
            f"SIMULATOR_PORT {port}: cannot listen on {host}: {error.strerror}; choose another"
        )
        raise ConfigurationError(message) from error
    bound = runner.addresses[0][1]
    source = exchange.market.describe(exchange.now_us)
    _log.info("serving", address=f"http://{host}:{bound}", **source)
    await asyncio.to_thread(stop.wait)
    await runner.cleanup()


if __name__ == "__main__":
    run_service(main)
