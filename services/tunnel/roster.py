"""Which pods a new connection may go to, kept up to date by whoever watches the cluster."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tunnel.errors import NoPodError

__all__ = ["Roster", "Target", "targets_of"]


@dataclass(frozen=True, order=True)
class Target:
    """A pod and the port it serves on."""

    pod: str
    port: int


def targets_of(slices: Iterable[Mapping[str, Any]]) -> tuple[Target, ...]:
    """Return the ready pods of a Service's EndpointSlices, by name.

    Where none is ready, those that still serve while they end; else those that are not ready: what
    they say themselves, if they take a connection, tells more than silence.
    """
    ready: set[Target] = set()
    serving: set[Target] = set()
    others: set[Target] = set()
    for each in slices:
        ports = [port["port"] for port in each.get("ports") or [] if port.get("port")]
        for endpoint in (each.get("endpoints") or []) if ports else []:
            pod = endpoint.get("targetRef") or {}
            conditions = endpoint.get("conditions") or {}
            if pod.get("kind") != "Pod":
                continue
            target = Target(pod["name"], ports[0])
            if conditions.get("ready", True):
                ready.add(target)
            elif conditions.get("serving"):
                serving.add(target)
            elif not conditions.get("terminating"):
                others.add(target)
    return tuple(sorted(ready or serving or others))


class Roster:
    """The pods that are ready now, taken in turn."""

    def __init__(self) -> None:
        self._targets: tuple[Target, ...] = ()
        self._turn = 0
        self._changed = asyncio.Event()
        self.trouble = "the cluster was not asked yet"

    def update(self, targets: tuple[Target, ...], trouble: str = "") -> bool:
        """Take a new list, or ``trouble`` that keeps from having one; return whether it changed."""
        self.trouble = trouble or ("" if targets else "no pod is ready")
        if targets == self._targets:
            return False
        self._targets = targets
        self._changed.set()
        self._changed = asyncio.Event()
        return True

    @property
    def targets(self) -> tuple[Target, ...]:
        """Return all of them."""
        return self._targets

    async def next(self, within_s: float, refused: frozenset[Target] = frozenset()) -> Target:
        """Return the next pod that is not among ``refused``, waiting for one.

        Raises `NoPodError` when there is none ``within_s`` seconds.
        """
        try:
            async with asyncio.timeout(within_s):
                while not (fresh := [t for t in self._targets if t not in refused]):
                    await self._changed.wait()
        except TimeoutError:
            raise NoPodError(self.trouble or "the ready pods take no connection") from None
        self._turn += 1
        return fresh[self._turn % len(fresh)]
