"""What the collector says of itself: probes and the status page."""

from common.clock import Clock
from common.health import Check, Health
from data_collector.delivery import Delivery
from data_collector.desk import Desk
from data_collector.membership import Membership
from data_collector.poller import Poller
from data_collector.schedule import Schedule
from data_collector.share import Share

__all__ = ["Probes", "StandbyProbes", "describe"]

_BEAT_S = 10.0
_MEMBER_BEAT_S = 60.0  # its client waits for answers of a Kafka that hangs
_ANSWER_S = 10.0
_WARM_S = 30.0


class StandbyProbes:
    """Which exchanges answered the warm-up, and when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answered: dict[str, float] = {}
        self._failures: dict[str, str] = {}

    def answered(self, venue: str) -> None:
        """Note an answer."""
        self._answered[venue] = self._clock.monotonic()
        self._failures.pop(venue, None)

    def failed(self, venue: str, why: str) -> None:
        """Note a failure."""
        self._failures[venue] = why

    def check(self) -> Check:
        """Return whether an exchange answered within the last 30 s."""
        now = self._clock.monotonic()
        warm = [name for name, at in self._answered.items() if now - at < _WARM_S]
        if warm:
            return Check(ok=True, detail=f"warm: {', '.join(sorted(warm))}")
        why = "; ".join(f"{name}: {text}" for name, text in sorted(self._failures.items()))
        return Check(ok=False, detail=why or "no exchange has answered yet")


class Probes:
    """What liveness and readiness mean, for one that collects and for one that stands by."""

    def __init__(
        self,
        warm: StandbyProbes,
        poller: Poller,
        desk: Desk,
        schedule: Schedule,
        membership: Membership,
        delivery: Delivery,
        clock: Clock,
    ) -> None:
        self._warm = warm
        self._poller = poller
        self._desk = desk
        self._schedule = schedule
        self._membership = membership
        self._delivery = delivery
        self._clock = clock

    def install(self, health: Health, *, active: bool) -> None:
        """Let ``health`` answer for the role."""
        health.role = "active" if active else "standby"
        health.live = {
            "schedule": lambda: self._beat(self._schedule.beat_at),
            "membership": self._member,
            "delivery": lambda: self._beat(self._delivery.beat_at),
        }
        if active:
            health.ready = {"exchanges": self._exchanges, "records": self._keeping}
        else:
            health.ready = {
                "exchanges": self._warm.check,
                "kafka": lambda: _kafka(self._delivery),
                "group": self._joined,
            }

    def _exchanges(self) -> Check:
        at = self._poller.answered_at
        age = None if at is None else self._clock.monotonic() - at
        if age is None:
            return Check(ok=False, detail="no exchange has answered yet")
        return Check(ok=age < _ANSWER_S, detail=f"last good answer {age:.1f} s ago")

    def _keeping(self) -> Check:
        """The records are safe as long as either Kafka or the spool takes them."""
        kafka = _kafka(self._delivery)
        if kafka.ok or not self._desk.last_error:
            return Check(ok=True, detail=f"spool takes records; Kafka: {kafka.detail}")
        return Check(ok=False, detail=f"spool: {self._desk.last_error}; Kafka: {kafka.detail}")

    def _member(self) -> Check:
        if self._membership.started:
            return self._beat(self._membership.beat_at, _MEMBER_BEAT_S)
        return Check(ok=True, detail="joins the group once an exchange has answered")

    def _joined(self) -> Check:
        if self._membership.joined:
            return Check(ok=True, detail="member of the group, nothing assigned")
        return Check(ok=False, detail=self._membership.last_error or "joining the group")

    def _beat(self, at: float, most_s: float = _BEAT_S) -> Check:
        age = self._clock.monotonic() - at
        return Check(ok=age < most_s, detail=f"last beat {age:.1f} s ago")


def describe(
    mode: str,
    share: Share,
    membership: Membership,
    poller: Poller,
    desk: Desk,
    delivery: Delivery,
) -> dict[str, object]:
    """Return the status page; ``mode`` is how the venues are asked: rest or stream."""
    return {
        "mode": mode,
        "share": {
            "symbols": sorted(share.owned),
            "presumed": share.presumed,
            "joined": membership.joined,
            "last_error": membership.last_error,
        },
        **poller.describe(),
        "clock_skew_s": {venue: skew.seconds for venue, skew in desk.skews.items()},
        "last_tick_age_s": desk.newest_age_s,
        "last_ticks": {
            symbol: {
                "price": str(tick.price),
                "venue": tick.venue,
                "sequence": tick.sequence,
                "event_time": tick.event_time.isoformat(),
            }
            for symbol, tick in desk.last_ticks.items()
        },
        "spool": {"pending": delivery.pending, "bytes": delivery.size, "in_memory": desk.waiting},
        "kafka": {
            "reachable": delivery.reachable,
            "last_error": delivery.last_error,
            "last_offset": delivery.last_offset,
        },
    }


def _kafka(delivery: Delivery) -> Check:
    if delivery.reachable:
        return Check(ok=True, detail="connected")
    return Check(ok=False, detail=delivery.last_error or "no acknowledgement for 5 s")
