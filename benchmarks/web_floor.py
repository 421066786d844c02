"""``python -m benchmarks.web_floor``: an empty Flask route under web-app's gunicorn settings."""

import threading
from collections.abc import Callable
from typing import Any

from flask import Flask

from common.settings import load_settings
from web_app.server import WebServer
from web_app.settings import WebSettings

__all__ = ["EmptyServer"]


class _Nothing:
    """What the worker asks of a runtime, with nothing to do."""

    def wait_until_ready(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Be ready at once."""

    def drain(self) -> None:
        """Have no streams."""

    def stop(self) -> None:
        """Have no threads."""


class EmptyServer(WebServer):
    """The same server with another application."""

    def load(self) -> Any:
        """Return the application; called by gunicorn in the worker."""
        app = Flask("floor")
        app.extensions["runtime"] = _Nothing()
        app.add_url_rule("/", "empty", lambda: "")
        return app


if __name__ == "__main__":
    EmptyServer(load_settings(WebSettings)).run()
