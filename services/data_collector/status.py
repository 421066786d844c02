"""What the collector says of itself: probes and the status page."""

from common.clock import Clock
from common.health import Check, Health
from data_collector.delivery import Delivery
from data_collector.desk import Desk
from data_collector.poller import Poller
from data_collector.schedule import Schedule
from data_collector.spool import Spool

__all__ = ["StandbyProbes", "active_probes", "describe", "standby_probes"]

_BEAT_S = 10.0
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


def standby_probes(health: Health, warm: StandbyProbes, delivery: Delivery, clock: Clock) -> None:
    """Let ``health`` answer as one that stands by."""
    health.live = {"delivery": lambda: _beat(clock, delivery.beat_at)}
    health.ready = {"exchanges": warm.check, "kafka": lambda: _kafka(delivery)}


def active_probes(
    health: Health,
    poller: Poller,
    desk: Desk,
    schedule: Schedule,
    delivery: Delivery,
    clock: Clock,
) -> None:
    """Let ``health`` answer as the one that collects."""

    def exchanges() -> Check:
        at = poller.answered_at
        age = None if at is None else clock.monotonic() - at
        if age is None:
            return Check(ok=False, detail="no exchange has answered yet")
        return Check(ok=age < _ANSWER_S, detail=f"last good answer {age:.1f} s ago")

    def keeping() -> Check:
        """The records are safe as long as either Kafka or the spool takes them."""
        kafka = _kafka(delivery)
        if kafka.ok or not desk.last_error:
            detail = f"spool takes records; Kafka: {kafka.detail}"
            return Check(ok=True, detail=detail)
        return Check(ok=False, detail=f"spool: {desk.last_error}; Kafka: {kafka.detail}")

    health.live = {
        "schedule": lambda: _beat(clock, schedule.beat_at),
        "delivery": lambda: _beat(clock, delivery.beat_at),
    }
    health.ready = {"exchanges": exchanges, "records": keeping}


def describe(poller: Poller, desk: Desk, spool: Spool, delivery: Delivery) -> dict[str, object]:
    """Return the status page of the one that collects."""
    return {
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
        "spool": {"pending": spool.pending, "bytes": spool.size, "in_memory": desk.waiting},
        "kafka": {
            "reachable": delivery.reachable,
            "last_error": delivery.last_error,
            "last_offset": delivery.last_offset,
        },
    }


def _beat(clock: Clock, at: float) -> Check:
    age = clock.monotonic() - at
    return Check(ok=age < _BEAT_S, detail=f"last beat {age:.1f} s ago")


def _kafka(delivery: Delivery) -> Check:
    if delivery.reachable:
        return Check(ok=True, detail="connected")
    return Check(ok=False, detail=delivery.last_error or "no acknowledgement for 5 s")
