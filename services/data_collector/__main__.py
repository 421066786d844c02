"""Entry point: ``python -m data_collector``."""

import asyncio
import logging

from common.clock import SystemClock
from common.health import Health
from common.lifecycle import run_service, stop_on_signals
from common.log import configure_logging
from common.ops import OpsServer
from data_collector.app import Collector
from data_collector.settings import load_collector_settings

__all__ = ["main"]


def main() -> int:
    """Collect until SIGTERM."""
    settings = load_collector_settings()
    configure_logging(settings.service_name, settings.log_level)
    # Several lines a second while Kafka is away; the delivery thread says it once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    stop = stop_on_signals()
    health = Health()
    collector = Collector(settings, health, SystemClock(), stop)
    with OpsServer(settings.ops_host, settings.ops_port, health):
        return asyncio.run(collector.run())


if __name__ == "__main__":
    run_service(main)
