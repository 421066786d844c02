"""The page and its files: our own from the package, the charting library from where npm put it."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

__all__ = ["add_pages"]

_PAGE = Path(__file__).parent / "page"
_CHART = "uplot/dist/uPlot.iife.min.js"
# What the page uses of the library; nothing else of node_modules is anybody's business.
_VENDOR = (_CHART, "uplot/dist/uPlot.min.css")
_SHOWN = {".html", ".css", ".js", ".svg"}


@dataclass(frozen=True)
class _Asset:
    content_type: str
    plain: bytes
    packed: bytes
    tag: str


def add_pages(app: Flask, vendor: Path) -> None:
    """Add the page, its files and the vendor's to ``app``; they are read once, here."""
    own = {
        path.relative_to(_PAGE).as_posix(): _read(path)
        for path in _PAGE.rglob("*")
        if path.suffix in _SHOWN
    }
    vendored = {name: _read(vendor / name) for name in _VENDOR if (vendor / name).is_file()}

    @app.get("/")
    def index() -> Response:
        if _CHART in vendored:
            return _answer(own, "index.html")
        answer = _answer(own, "missing.html")
        answer.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return answer

    @app.get("/static/app/<path:name>")
    def page_file(name: str) -> Response:
        return _answer(own, name)

    @app.get("/static/vendor/<path:name>")
    def vendor_file(name: str) -> Response:
        return _answer(vendored, name)

    @app.get("/api/docs")
    def docs() -> Response:
        return _answer(own, "docs.html")

    @app.get("/favicon.ico")
    def icon() -> Response:
        return _answer(own, "icon.svg")


def _read(path: Path) -> _Asset:
    content = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    text = kind.startswith("text/") or kind == "image/svg+xml"
    return _Asset(
        content_type=f"{kind}; charset=utf-8" if text else kind,
        plain=content,
        packed=gzip.compress(content, 9, mtime=0),
        tag=hashlib.blake2b(content, digest_size=8).hexdigest(),
    )


def _answer(assets: dict[str, _Asset], name: str) -> Response:
    asset = assets.get(name)
    if asset is None:
        raise NotFound
    packed = bool(request.accept_encodings["gzip"])
    answer = Response(asset.packed if packed else asset.plain, content_type=asset.content_type)
    if packed:
        answer.headers["Content-Encoding"] = "gzip"
    answer.vary.add("Accept-Encoding")
    answer.headers["Cache-Control"] = "no-cache"  # asked again each time: an update is seen at once
    answer.set_etag(asset.tag, weak=True)
    answer.make_conditional(request)
    return answer
