"""What ended processes left on this disk is delivered, and their symbols are collected on."""

from collections.abc import Callable
from functools import partial

from common.log import get_logger
from data_collector import metrics
from data_collector.delivery import Delivery
from data_collector.errors import SpoolError
from data_collector.spool import Lease, Spool, SpoolHome

__all__ = ["Adoption"]

_log = get_logger(__name__)


class Adoption:
    """Finds spools whose holder has ended. `look` is to be called again and again."""

    def __init__(
        self,
        home: SpoolHome,
        open_spool: Callable[[Lease], Spool],
        learn: Callable[[Spool], object],
        delivery: Delivery,
    ) -> None:
        self._home = home
        self._open_spool = open_spool
        self._learn = learn
        self._delivery = delivery
        self._held: dict[Lease, Spool] = {}

    def look(self) -> frozenset[str]:
        """Adopt what nobody holds; return the symbols that its holders collected to their end.

        ``learn`` has been called with each spool before. May block for the time of a recovery.
        """
        symbols: frozenset[str] = frozenset()
        for lease in self._home.orphans():
            try:
                spool = self._open_spool(lease)
            except SpoolError as error:
                _log.error("a left spool cannot be read", why=str(error))
                lease.release()
                continue
            symbols |= lease.remembered
            self._learn(spool)
            self._held[lease] = spool
            if not spool.pending:
                self._done(lease)
                continue
            metrics.ADOPTED.inc()
            _log.info("adopted a spool", directory=lease.directory, left=spool.pending)
            self._delivery.add(spool, partial(self._done, lease))
        return symbols

    def close(self) -> None:
        """Let go of what could not be delivered: the next to look will find it."""
        for lease, spool in self._held.items():
            spool.close()
            lease.release()
        self._held.clear()

    def _done(self, lease: Lease) -> None:
        self._held.pop(lease).close()
        lease.release(delete=True)
