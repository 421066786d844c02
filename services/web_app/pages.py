"""The page and its files: our own from the package, the charting library from where npm put it."""

from http import HTTPStatus
from pathlib import Path

from flask import Flask, Response, make_response, send_from_directory
from werkzeug.exceptions import NotFound

__all__ = ["add_pages"]

_PAGE = Path(__file__).parent / "page"
_CHART = "uplot/dist/uPlot.iife.min.js"
# Files of the library that the page uses; nothing else of node_modules is anybody's business.
_VENDOR = {_CHART, "uplot/dist/uPlot.min.css"}
_REVALIDATE = "no-cache"  # the ETag makes it cheap, and an update is seen at once


def add_pages(app: Flask, vendor: Path) -> None:
    """Add the page, its files and the vendor's to ``app``."""

    @app.get("/")
    def index() -> Response:
        if not (vendor / _CHART).is_file():
            answer = _file(_PAGE, "missing.html")
            answer.status_code = HTTPStatus.SERVICE_UNAVAILABLE
            return answer
        return _file(_PAGE, "index.html")

    @app.get("/static/app/<path:name>")
    def own(name: str) -> Response:
        return _file(_PAGE, name)

    @app.get("/static/vendor/<path:name>")
    def vendored(name: str) -> Response:
        if name not in _VENDOR:
            raise NotFound
        return _file(vendor, name)

    @app.get("/favicon.ico")
    def icon() -> Response:
        return _file(_PAGE, "icon.svg")


def _file(folder: Path, name: str) -> Response:
    answer = make_response(send_from_directory(folder, name))
    answer.headers["Cache-Control"] = _REVALIDATE
    answer.direct_passthrough = False  # so that it can be compressed
    return answer
