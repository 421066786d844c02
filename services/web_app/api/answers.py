"""JSON answers: encoded once, with a validator, compressed where that pays."""

import gzip
import hashlib
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Response, request

__all__ = ["compressed", "json_answer"]

_WORTH_IT = 1_024  # bytes; below that the header costs more than it saves
_LEVEL = 4  # within 5 % of level 9's size at a fifth of its time
_COMPRESSIBLE = ("application/json", "application/problem+json", "text/", "application/javascript")
_encoder = msgspec.json.Encoder(decimal_format="string")


def json_answer(body: Any, max_age_s: int = 0) -> Response:
    """Return ``body``, or its bytes, as JSON with an ETag; 304 where the client has it already."""
    payload = body if isinstance(body, bytes) else _encoder.encode(body)
    tag = f'W/"{hashlib.blake2b(payload, digest_size=8).hexdigest()}"'
    freshness = f"private, max-age={max_age_s}" if max_age_s else "no-cache"
    headers = {"Cache-Control": freshness, "ETag": tag}
    answer = Response(payload, headers=headers, content_type="application/json")
    if "If-None-Match" in request.headers:
        answer.make_conditional(request)
    return answer


def compressed(answer: Response) -> Response:
    """Return the answer, with gzip where the client takes it and it pays."""
    if (
        answer.is_streamed
        or answer.status_code in (204, 206)
        or "Content-Encoding" in answer.headers
        or not (answer.content_type or "").startswith(_COMPRESSIBLE)
    ):
        return answer
    answer.headers["Vary"] = "Accept-Encoding"  # also of a 304: caches take it from there
    small = (
        answer.status_code == HTTPStatus.NOT_MODIFIED or (answer.content_length or 0) < _WORTH_IT
    )
    if small or not request.accept_encodings["gzip"]:
        return answer
    answer.set_data(gzip.compress(answer.get_data(), _LEVEL, mtime=0))
    answer.headers["Content-Encoding"] = "gzip"
    return answer
