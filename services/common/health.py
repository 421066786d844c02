"""What a service says of itself: live, ready, its role, and why."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Check", "Health", "Role"]

Role = Literal["active", "standby"]


@dataclass(frozen=True)
class Check:
    """One finding; ``detail`` is shown to people as it is."""

    ok: bool
    detail: str


@dataclass
class Health:
    """Named probes, asked anew on each request; a probe must answer within a second.

    ``live`` probes say whether the process can still do its work (else: restart it);
    ``ready`` probes say whether it should be given work (else: wait).
    """

    role: Role = "active"
    live: dict[str, Callable[[], Check]] = field(default_factory=dict)
    ready: dict[str, Callable[[], Check]] = field(default_factory=dict)
    status: Callable[[], dict[str, object]] = dict

    def report(self, kind: Literal["live", "ready"]) -> tuple[bool, dict[str, object]]:
        """Run the probes of ``kind``; return whether all passed and the answer's JSON body."""
        probes = self.live if kind == "live" else {**self.live, **self.ready}
        checks = {name: _run(probe) for name, probe in probes.items()}
        passed = all(check.ok for check in checks.values())
        body: dict[str, object] = {
            "status": "ok" if passed else "failing",
            "role": self.role,
            "pid": os.getpid(),  # who answers: another program may sit on the port
            "checks": {name: {"ok": c.ok, "detail": c.detail} for name, c in checks.items()},
        }
        return passed, body


def _run(probe: Callable[[], Check]) -> Check:
    try:
        return probe()
    except Exception as error:  # noqa: BLE001 - a probe that breaks is a failing probe
        return Check(ok=False, detail=f"{type(error).__name__}: {error}")
