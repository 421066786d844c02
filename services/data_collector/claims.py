"""Which symbols this replica collects: the group's word, and what must be presumed without it."""

from collections.abc import Callable, Collection, Iterable

from common.clock import Clock
from common.log import get_logger
from data_collector import metrics
from data_collector.delivery import Delivery
from data_collector.membership import Membership
from data_collector.settings import CollectorSettings
from data_collector.share import Share
from data_collector.spool import Lease

__all__ = ["LINGER_S", "Claims"]

# A symbol that is given up is collected for so long on: its new owner hears of it at its next
# heartbeat, and a hand-over takes at most 2 s.
LINGER_S = 1.5
# Without a word from a group that cannot be joined: better collected twice than not at all.
_PATIENCE_S = 5.0
# What an ended process collected is ours until the group has missed it, and for so long more.
_PRESUMED_S = 4.0

_log = get_logger(__name__)


class Claims:
    """Only to be used in the thread of the loop.

    ``on_change`` is called with the symbols that are new with each word of the group and each
    presumption, and with whether others may have asked for them in this second already.
    """

    def __init__(
        self,
        settings: CollectorSettings,
        lease: Lease,
        membership: Membership,
        delivery: Delivery,
        clock: Clock,
        on_change: Callable[[frozenset[str], bool], None],
    ) -> None:
        self._settings = settings
        self._lease = lease
        self._membership = membership
        self._delivery = delivery
        self._clock = clock
        self._on_change = on_change
        self._since = clock.monotonic()  # when the group's word was awaited
        self._word: frozenset[str] | None = None
        self.share = Share(settings.symbols, LINGER_S)

    @property
    def owned(self) -> frozenset[str]:
        """Return what is ours, without what is being handed over."""
        return self.share.owned

    @property
    def lingering(self) -> frozenset[str]:
        """Return what is being handed over."""
        return self.share.lingering(self._clock.monotonic())

    @property
    def collected(self) -> frozenset[str]:
        """Return both."""
        return self.share.at(self._clock.monotonic())

    def take_word(self, symbols: Collection[str]) -> None:
        """Collect what the group has assigned, and no other."""
        metrics.ASSIGNMENTS.inc()
        self._word = frozenset(symbols)
        gained = self.share.assign(symbols, self._clock.monotonic())
        self._change(gained, shared=not self._membership.alone)

    def presume(self, symbols: Iterable[str], why: str) -> None:
        """Collect ``symbols`` too, until the group says more."""
        gained = self.share.presume(symbols)
        if gained:
            self._since = self._clock.monotonic()
            _log.info("collecting until the group decides", symbols=sorted(gained), because=why)
            self._change(gained, shared=False)

    def presume_remembered(self) -> None:
        """Collect what the spool's last holder collected to its end."""
        self.presume(self._lease.remembered, "they were collected from this spool before")

    def weigh(self) -> None:
        """Presume more where no word can be had; end what was presumed where none came."""
        waited = self._clock.monotonic() - self._since
        if self._word is None:
            hopeless = not self._delivery.reachable or self._membership.last_error
            if waited > _PATIENCE_S and hopeless:
                self.presume(self._settings.symbols, "the group cannot be joined")
            return
        over = waited > self._settings.collector_session_s + _PRESUMED_S
        if self.share.presumed and self._delivery.reachable and over:
            self.take_word(self._word)

    def hand_over(self) -> None:
        """Let everything linger, as the group was left, and leave nothing to a successor."""
        self._remember(())
        self.share.hand_over(self._clock.monotonic())

    def _change(self, gained: frozenset[str], *, shared: bool) -> None:
        self._remember(self.owned)
        self._on_change(gained, shared)

    def _remember(self, symbols: Iterable[str]) -> None:
        try:
            self._lease.remember(symbols)
        except OSError as error:
            _log.warning("cannot note whose symbols these are", why=error.strerror)
