"""What an instance asks of a cluster, summed over all its pods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_UNITS = {"m": 0.001, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_KINDS = ("requests", "limits")
_JOB = "kafka-topics"


def kubernetes_needs(
    resources: Mapping[str, Mapping[str, list[str]]],
    counts: Mapping[str, int],
    scaled: Mapping[str, Mapping[str, int]],
    surging: list[str],
    bound: str,
) -> dict[str, float]:
    """Return cores and bytes by the names of quotas: ``requests.cpu``, ``limits.memory``, ...

    ``counts`` says how many pods each component has, ``scaled`` how many an autoscaler may make of
    it (``bound``: min or max), ``surging`` which are rolled with one pod more, one at a time. The
    job that declares the topics is counted too.
    """
    surge = kubernetes_largest(resources, surging)
    replicas = {name: scaled.get(name, {bound: count})[bound] for name, count in counts.items()}
    needs = {}
    for what in ("cpu", "memory"):
        for number, kind in enumerate(_KINDS):
            each = {name: amount(resources[name][what][number]) for name in counts}
            total = sum(count * each[name] for name, count in replicas.items())
            job = amount(resources[_JOB][what][number])
            needs[f"{kind}.{what}"] = total + surge[f"{kind}.{what}"] + job
    return needs


def kubernetes_largest(
    resources: Mapping[str, Mapping[str, list[str]]], names: list[str]
) -> dict[str, float]:
    """Return the most that one pod of the components ``names`` asks for, by the names of quotas."""
    return {
        f"{kind}.{what}": max(
            (amount(resources[name][what][number]) for name in names), default=0.0
        )
        for what in ("cpu", "memory")
        for number, kind in enumerate(_KINDS)
    }


def kubernetes_quota(
    least: Mapping[str, Any], needs: Mapping[str, float], ending: Mapping[str, float]
) -> dict[str, str]:
    """Return the quota: ``least``, raised where more is needed (three brokers, more replicas).

    A quota counts pods that are ending: while all replicas are there and one is replaced, there is
    one of those beside the one that starts.
    """
    room = {name: need + ending.get(name, 0.0) for name, need in needs.items()}
    return {
        name: str(value) if amount(value) >= room.get(name, 0) else _written(name, room[name])
        for name, value in least.items()
    }


def amount(text: Any) -> float:
    """Return a Kubernetes quantity as a number."""
    word = str(text)
    unit = next((unit for unit in _UNITS if word.endswith(unit)), "")
    return float(word.removesuffix(unit)) * _UNITS.get(unit, 1.0)


def _written(name: str, number: float) -> str:
    """Return a number as the API server writes it back, so that nothing differs next time."""
    if "memory" in name:
        return f"{-(-number // 2**20):.0f}Mi"
    return f"{round(number * 1000)}m" if round(number * 1000) % 1000 else f"{round(number)}"


def offsets_behind(known: Mapping[str, int], ends: Mapping[str, int]) -> list[str]:
    """Return the topic-partitions that end before what was ``known`` of them, in words."""
    return [
        f"{where} ends at {ends.get(where, 'nothing')} and ended at {end}"
        for where, end in known.items()
        if int(ends.get(where, -1)) < int(end)
    ]


def cpu_of_limits(service: Mapping[str, Any]) -> str:
    """Return used cores beside what is requested and allowed, in thousandths: ``12m (100/400)``."""
    used = f"{1000 * service['cpu']:.0f}m" if service["measured"] else "-"
    asked = [1000 * service[kind]["cpu"] for kind in _KINDS]
    return f"{used} ({asked[0]:.0f}/{asked[1]:.0f})"


def memory_of_limits(service: Mapping[str, Any]) -> str:
    """Return used memory beside what is requested and allowed, in MiB: ``55Mi (96/256)``."""
    used = f"{service['memory'] / 2**20:.0f}Mi" if service["measured"] else "-"
    asked = [service[kind]["memory"] / 2**20 for kind in _KINDS]
    return f"{used} ({asked[0]:.0f}/{asked[1]:.0f})"


class FilterModule:
    """Filters of the Kubernetes targets' catalogue."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "kubernetes_largest": kubernetes_largest,
            "kubernetes_needs": kubernetes_needs,
            "kubernetes_quota": kubernetes_quota,
            "offsets_behind": offsets_behind,
            "cpu_of_limits": cpu_of_limits,
            "memory_of_limits": memory_of_limits,
        }
