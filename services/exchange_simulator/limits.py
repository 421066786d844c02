"""The venues' documented rate limits, counted for each client address."""

import math
from dataclasses import dataclass

__all__ = ["Bucket", "RateLimits", "Verdict", "Window"]

_CLIENTS = 1000  # addresses remembered
_BAN_AFTER = 20  # refused requests in a row after which Binance bans
_BAN_S = 120


@dataclass(frozen=True)
class Verdict:
    """Whether a request may pass; the rest is for the answer's headers."""

    allowed: bool
    used: int = 0
    retry_after_s: int = 0
    banned: bool = False


@dataclass
class Bucket:
    """A lazily filled token bucket (Coinbase: 10 each second, burst 15; Kraken: 1 each second)."""

    rate: float
    burst: float
    level: float = math.inf
    filled_us: int = 0

    def take(self, weight: int, now_us: int) -> Verdict:
        """Take ``weight`` tokens if they are there."""
        gained = (now_us - self.filled_us) / 1e6 * self.rate
        self.level = min(self.burst, self.level + gained)
        self.filled_us = now_us
        if self.level < weight:
            return Verdict(
                allowed=False, retry_after_s=math.ceil((weight - self.level) / self.rate)
            )
        self.level -= weight
        return Verdict(allowed=True)


@dataclass
class Window:
    """A weight for each minute (Binance); who goes on regardless is banned."""

    limit: float
    minute: int = -1
    used: int = 0
    refused: int = 0
    banned_until_us: int = 0

    def take(self, weight: int, now_us: int) -> Verdict:
        """Count ``weight`` and tell whether the minute's limit allows it."""
        if now_us < self.banned_until_us:
            left = math.ceil((self.banned_until_us - now_us) / 1e6)
            return Verdict(allowed=False, used=self.used, retry_after_s=left, banned=True)
        minute, rest_us = divmod(now_us, 60_000_000)
        if minute != self.minute:
            self.minute, self.used, self.refused = minute, 0, 0
        self.used += weight
        if self.used <= self.limit:
            return Verdict(allowed=True, used=self.used)
        self.refused += 1
        if self.refused > _BAN_AFTER:
            self.banned_until_us = now_us + _BAN_S * 1_000_000
        left = math.ceil((60_000_000 - rest_us) / 1e6)
        return Verdict(allowed=False, used=self.used, retry_after_s=left)


class RateLimits:
    """One meter for each venue and client; ``factor`` multiplies the limits, 0 lifts them."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._meters: dict[tuple[str, str], Bucket | Window] = {}

    def take(self, venue: str, client: str, weight: int, now_us: int) -> Verdict:
        """Count a request of ``client`` and tell whether it may pass."""
        if not self._factor:
            return Verdict(allowed=True)
        key = venue, client
        if key not in self._meters:
            if len(self._meters) >= _CLIENTS:
                self._meters.pop(next(iter(self._meters)))
            self._meters[key] = self._new_meter(venue)
        return self._meters[key].take(weight, now_us)

    def _new_meter(self, venue: str) -> Bucket | Window:
        if venue == "binance":
            return Window(limit=6000 * self._factor)
        rate, burst = (10.0, 15.0) if venue == "coinbase" else (1.0, 3.0)
        return Bucket(rate * self._factor, burst * self._factor)
