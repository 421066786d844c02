"""One-line structured logs: ``<time> <LEVEL> <service> <message> key=value ...``."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

__all__ = ["configure_logging", "get_logger"]

_HIDDEN = ("timestamp", "level", "event", "_record", "_from_structlog", "exception")


def _render(service: str) -> structlog.types.Processor:
    def render(_logger: object, _name: str, event: MutableMapping[str, Any]) -> str:
        pairs = (f" {key}={value}" for key, value in event.items() if key not in _HIDDEN)
        line = f"{event['timestamp']} {event['level'].upper()} {service} {event['event']}"
        trace = f"\n{event['exception']}" if event.get("exception") else ""
        return " ".join((line + "".join(pairs)).splitlines()) + trace  # errors have several

    return render


def configure_logging(service: str, level: str = "INFO") -> None:
    """Send the logs of this process and its libraries to standard output in one format."""
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        processors=[_render(service)],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.getLogger("kafka").setLevel(logging.WARNING)  # one line per heartbeat otherwise
    # Its selector warns of each step above 0.1 s: a busy core, no fault. The level stays "kafka"'s.
    selector = logging.getLogger("kafka.net.selector")
    selector.addFilter(lambda record: record.levelno > logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # one line per poll otherwise
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; key-value pairs are its keyword arguments."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
