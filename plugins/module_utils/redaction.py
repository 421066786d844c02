"""Take secrets out of what is handed to others: by name, by form, and the known ones by value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "(hidden)"
_LEAST = 6  # shorter values are words that occur everywhere
_NAMES = (
    r"pass(?:word|wd)?|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?|"
    r"authorization|cookie|client-key-data|\.dockerconfigjson"
)
_SENSITIVE = re.compile(rf"(?:^|[-_.]|[a-z](?=[A-Z]))(?:{_NAMES})(?:$|[-_.]?(?:value|data)$)", re.I)
_PEM = tuple(rf"-----{word} [A-Z ]*PRIVATE KEY-----" for word in ("BEGIN", "END"))
_FORMS = (
    # scheme://user:password@host
    (re.compile(r"(?<=://)[^/\s:@'\"]*:[^@\s'\"]+(?=@)"), HIDDEN),
    # Authorization: Bearer ..., Basic ...
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    # PASSWORD=..., "token": "...", api-key: ...
    (
        re.compile(
            rf"((?:\b|_)(?:{_NAMES})[\"']?\s*[=:]\s*[\"']?)(?!\(hidden\))[^\s\"',;&}}]+", re.I
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(rf"{_PEM[0]}.*?(?:{_PEM[1]}|\Z)", re.S), HIDDEN),
)  # fmt: skip
# Names that end like secrets and hold none: a file's place, a Secret's name.
_HARMLESS = re.compile(r"(?:_FILE|File|secretName|secretKeyRef|automountServiceAccountToken)$")


def redacted_text(text: str, known: Iterable[str] = ()) -> str:
    """Return ``text`` without the ``known`` values and without what looks like a secret."""
    for value in sorted({v for v in known if len(v) >= _LEAST}, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    for form, instead in _FORMS:
        text = form.sub(instead, text)
    return text


def redacted(value: Any) -> Any:
    """Return an object of an API without the values whose names say that they are secret."""
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str) and "value" in value and is_secret(value["name"]):
            return {**value, "value": HIDDEN}
        return {
            key: HIDDEN if is_secret(str(key)) and isinstance(each, str) else redacted(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [redacted(each) for each in value]
    return value


def is_secret(name: str) -> bool:
    """Return whether what has this name is not to be shown."""
    return bool(_SENSITIVE.search(name)) and not _HARMLESS.search(name)
