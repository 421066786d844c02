"""``python -m bitcoin_forecast_app.models list|rollback [VERSION] [--dry-run]|retrain``: JSON.

Reads MODEL_DIR and FEED (``retrain`` what `train` reads too). ``rollback`` puts VERSION in service,
or the newest promoted version before the present one, or none where there is none; the running
forecaster follows within a second or two. Exit codes: 0 done, 1 not possible, 2 wrong use; those
of `train` besides.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitcoin_forecast_app import train
from bitcoin_forecast_app.errors import ArtefactError
from bitcoin_forecast_app.registry import Registry
from common.lifecycle import run_service
from common.settings import ServiceSettings, load_settings

__all__ = ["main", "rollback"]

_SHOWN = ("version", "trained_at", "rows", "window", "promoted", "reason", "scores")
_NONE = "none"


class _Settings(ServiceSettings):
    service_name: str = "bitcoin-forecast-models"
    model_dir: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one action."""
    parser = argparse.ArgumentParser(prog="python -m bitcoin_forecast_app.models")
    parser.add_argument("action", choices=("list", "rollback", "retrain"))
    parser.add_argument("version", nargs="?", help=f"for rollback; {_NONE} for the baseline")
    parser.add_argument("--dry-run", action="store_true", help="say what rollback would do")
    options = parser.parse_args(arguments)
    if options.action == "retrain":
        return train.main([])
    settings = load_settings(_Settings)
    registry = Registry(settings.model_dir, settings.feed)
    try:
        if options.action == "list":
            answer = list_models(registry)
        else:
            answer = rollback(registry, options.version, dry_run=options.dry_run)
    except ArtefactError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def list_models(registry: Registry) -> dict[str, Any]:
    """Return the version in service and what is known of all; unreadable ones say so."""
    models = []
    for version in registry.versions():
        try:
            manifest = registry.manifest(version)
            models.append({name: manifest[name] for name in _SHOWN if name in manifest})
        except ArtefactError as error:
            models.append({"version": version, "error": str(error)})
    return {"current": registry.current, "models": models}


def rollback(registry: Registry, version: str | None, *, dry_run: bool = False) -> dict[str, Any]:
    """Put another version in service; it is read first, so nothing broken comes in.

    Raises `ArtefactError` where it is unknown or cannot be read.
    """
    before = registry.current
    if version is None:
        older = [v for v in registry.promoted() if v < before]
        version = older[0] if older else _NONE
    if version != _NONE:
        if version not in registry.versions():
            known = ", ".join([*registry.versions(), _NONE])
            raise ArtefactError(f"no model {version}; known: {known}")
        registry.load(version)
    now = "" if version == _NONE else version
    if now != before and not dry_run:
        registry.switch(now)
    return {"before": before, "current": now, "changed": now != before}


if __name__ == "__main__":
    run_service(main)
