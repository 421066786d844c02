"""Forecasts that wait for their target time, and what is in force when it comes."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from bitcoin_forecast_app.distribution import Array
from bitcoin_forecast_app.observation import SECOND_US, Observation
from common.wire import HORIZONS_S

__all__ = ["Issue", "Settled", "Settlement"]

# Ticks further apart are a gap: what was in force inside it nobody saw.
GAP_US = 5 * SECOND_US
# An observation this little after the target stands for it where none came since the issue.
TOLERANCE_US = SECOND_US // 4
_MAX_WAITING = 4 * 3600  # per horizon; beyond it the oldest are dropped and counted


@dataclass(slots=True)
class Context:
    """What the online learners need when an outcome comes; in units of ``sigma``.

    ``sigma`` is the baseline's volatility over each horizon, (horizons,); ``experts`` is (experts,
    horizons, levels), ``median`` (horizons,) and ``final`` (horizons, levels); ``har`` scales
    ``sigma``; ``side`` is the side on which the book leaned, ``kind`` how much.
    """

    sigma: Array
    experts: Array
    ratios: Array
    har: Array
    kind: int
    side: float
    odd: Array
    median: Array
    final: Array


@dataclass(frozen=True, slots=True)
class Issue:
    """One forecast for all horizons, as issued at ``issue_us`` from ``observation``.

    ``mean`` is (horizons,) and ``quantiles`` and ``baseline`` are (horizons, published levels), in
    the quote currency. ``horizons`` are the indexes that were issued.
    """

    observation: Observation
    issue_us: int
    model_version: str
    mean: Array
    quantiles: Array
    baseline: Array
    horizons: tuple[int, ...]
    context: Context

    def target_us(self, index: int) -> int:
        """Return the target time of the horizon at ``index``."""
        return self.observation.time_us + HORIZONS_S[index] * SECOND_US


@dataclass(frozen=True, slots=True)
class Settled:
    """A forecast whose target time has come; ``actual`` was the mid price then."""

    issue: Issue
    index: int
    actual: float


@dataclass
class Settlement:
    """Queues of unsettled issues, one for each horizon.

    Nothing is scored across a gap in the observations or a change of venue: what waits then is
    given up. ``unscored`` counts by why.
    """

    gap_us: int = GAP_US
    unscored: Counter[str] = field(default_factory=Counter)
    _waiting: tuple[deque[Issue], ...] = field(
        default_factory=lambda: tuple(deque() for _ in HORIZONS_S)
    )

    def broken(self, previous: Observation, current: Observation) -> str | None:
        """Return why two consecutive observations are not one series, or None if they are."""
        if previous.venue != current.venue:
            return "venue"
        return "gap" if current.time_us - previous.time_us > self.gap_us else None

    def add(self, issue: Issue) -> None:
        """Let ``issue`` wait; issues come in the order of their observations."""
        for index in issue.horizons:
            queue = self._waiting[index]
            if len(queue) >= _MAX_WAITING:
                queue.popleft()
                self.unscored["overflow"] += 1
            queue.append(issue)

    def settle(self, previous: Observation, current: Observation) -> Iterator[Settled]:
        """Yield what came due after ``previous`` up to ``current``, consecutive observations."""
        reason = self.broken(previous, current)
        if reason is not None:
            for queue in self._waiting:
                self.unscored[reason] += len(queue)
                queue.clear()
        for index, queue in enumerate(self._waiting):
            while queue and queue[0].target_us(index) <= current.time_us:
                issue = queue.popleft()
                found = _in_force(issue, issue.target_us(index), previous, current)
                if found is None:
                    self.unscored["unseen"] += 1
                else:
                    yield Settled(issue, index, found.mid)


def _in_force(
    issue: Issue, target_us: int, previous: Observation, current: Observation
) -> Observation | None:
    """Return the observation in force at the target; None if nothing was seen since the issue."""
    found = current if current.time_us <= target_us else previous
    if found.time_us > issue.observation.time_us:
        return found
    return current if current.time_us - target_us <= TOLERANCE_US else None
