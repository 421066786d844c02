"""The registry as the store shows it: kept the same by the active process, however it changed.

A training run, a rollback from outside, a version that was removed, a store that was restored: only
what is found is compared, so nobody has to tell.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from sqlalchemy import Engine as Database
from sqlalchemy.exc import SQLAlchemyError

from bitcoin_forecast_app.errors import ArtefactError
from bitcoin_forecast_app.registry import Registry
from common.clock import Clock
from common.log import get_logger
from common.store.models import save_models

__all__ = ["Showcase"]

_INTERVAL_S: Final = 5.0  # between looks at the files
_AGAIN_S: Final = 60.0  # between looks at the store, where the files are as they were

_log = get_logger(__name__)


class Showcase:
    """Called after each turn of the loop; mostly it returns at once, and it never raises.

    ``serving`` returns the version that forecasts; what is no trained version is none in service.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        feed: str,
        serving: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._database = database
        self._registry = registry
        self._feed = feed
        self._serving = serving
        self._clock = clock
        self._looked = ""
        self._next = 0.0
        self._shown: tuple[list[str], str] | None = None
        self._again = 0.0

    def __call__(self) -> None:
        """Have the store say which versions there are and which one is in service."""
        now, serving = self._clock.monotonic(), self._serving()
        if now < self._next and serving == self._looked:
            return
        self._next, self._looked = now + _INTERVAL_S, serving
        found = (self._registry.versions(), serving)
        if found == self._shown and now < self._again:
            return
        try:
            with self._database.begin() as connection:
                save_models(connection, self._feed, *found, self._card)
        except SQLAlchemyError as error:
            _log.warning("models not shown, trying again later", error=str(error))
        else:
            self._shown, self._again = found, now + _AGAIN_S

    def _card(self, version: str) -> str | None:
        try:
            manifest = self._registry.manifest(version)
        except ArtefactError as error:
            _log.warning("a model has no card", version=version, error=str(error))
            return None
        return msgspec.json.encode({**manifest, "version": version}).decode()
