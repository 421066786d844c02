"""What a person wants to know of an instance on a cluster: pure, over the API's objects."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.cluster_state import name_of, quantity, replicas_of
from ansible.module_utils.workload_state import (
    moment,
    not_rolled_out,
    pod_fault,
    refused,
    revision,
    seconds_since,
    versions_of,
)

_NAME = "app.kubernetes.io/name"
_OOM = "OOMKilled"
_SCALER = "HorizontalPodAutoscaler"
_YOUNG_S = 60.0
_METRICS_S = 240.0  # metrics-server has something to say some two minutes after it starts
_RECENT_S = 3600.0  # what ended a container before that is history: a node that was repaired
_NEAR = 0.9  # of a limit or a quota: soon something will be refused or killed


def service_view(
    workload: Mapping[str, Any],
    pods: Iterable[Mapping[str, Any]],
    used: Mapping[str, Mapping[str, float]],
    now: datetime.datetime,
) -> dict[str, Any]:
    """Return one line of the status screen; ``used`` is cores and bytes by pod."""
    mine = _pods_of(name_of(workload), pods)
    spec = workload["spec"]["template"]["spec"]["containers"][0]
    wanted = replicas_of(workload)
    ready = int((workload.get("status") or {}).get("readyReplicas", 0))
    waiting = (refused(workload, now) or not_rolled_out(workload)) if wanted else ""
    views = [pod_view(pod, used.get(name_of(pod), {}), now) for pod in mine]
    return {
        "state": state_of(wanted, ready, waiting, young=bool(ready) and is_young(views)),
        "wanted": wanted,
        "ready": ready,
        "reason": next((pod["fault"] for pod in views if pod["fault"]), waiting),
        "restarts": sum(pod["restarts"] for pod in views),
        "last_end": next((pod["last_end"] for pod in views if pod["last_end"]), ""),
        "last_end_s": min((pod["last_end_s"] for pod in views if pod["last_end"]), default=0.0),
        "cpu": sum(pod["cpu"] for pod in views),
        "memory": sum(pod["memory"] for pod in views),
        "measured": any(pod["memory"] for pod in views),
        "image": spec["image"],
        "pods": views,
        **{kind: amounts(spec, kind, max(len(mine), 1)) for kind in ("requests", "limits")},
    }


def _pods_of(workload: str, pods: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [p for p in pods if (p["metadata"].get("labels") or {}).get(_NAME) == workload]


def state_of(wanted: int, ready: int, waiting: str, *, young: bool) -> str:
    """Return asleep, running, rolling, starting (a further replica) or not ready."""
    if not wanted:
        return "asleep"
    if not waiting:
        return "running"
    if ready >= wanted:
        return "rolling"
    return "starting" if young else "not ready"


def is_young(pods: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether every pod that is not ready has just been made, and nothing is wrong yet."""
    late = [pod for pod in pods if not pod["ready"]]
    return all(pod["age_s"] < _YOUNG_S and not pod["fault"] for pod in late)


def amounts(container: Mapping[str, Any], kind: str, pods: int) -> dict[str, float]:
    """Return cores and bytes that ``pods`` pods request or may use."""
    given = container.get("resources", {}).get(kind, {})
    return {what: pods * quantity(given.get(what, "0")) for what in ("cpu", "memory")}


def pod_view(
    pod: Mapping[str, Any], used: Mapping[str, float], now: datetime.datetime
) -> dict[str, Any]:
    """Return what is shown of a pod."""
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    ended = [(c.get("lastState") or {}).get("terminated") or {} for c in containers]
    last = next((end for end in ended if end), {})
    age = seconds_since(pod["metadata"]["creationTimestamp"], now)
    return {
        "name": name_of(pod),
        "phase": "Ending" if pod["metadata"].get("deletionTimestamp") else status.get("phase", "?"),
        "ready": all(c.get("ready") for c in containers) if containers else False,
        "restarts": sum(int(c.get("restartCount", 0)) for c in containers),
        "last_end": f"{last.get('reason', 'ended')} (exit code {last.get('exitCode')})"
        if last
        else "",
        "last_end_s": seconds_since(last["finishedAt"], now) if last.get("finishedAt") else 0.0,
        "fault": pod_fault(pod, age),
        "age_s": age,
        "node": (pod.get("spec") or {}).get("nodeName", ""),
        "cpu": used.get("cpu", 0.0),
        "memory": used.get("memory", 0.0),
    }


def pod_metrics(items: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return cores and bytes by pod from what the metrics API answers."""
    return {
        name_of(item): {
            what: sum(_nano(c["usage"].get(what, "0")) for c in item.get("containers") or [])
            for what in ("cpu", "memory")
        }
        for item in items
    }


def _nano(text: Any) -> float:
    """Return a quantity; the metrics API writes CPU in billionths or millionths of a core."""
    word = str(text)
    for unit, factor in (("n", 1e-9), ("u", 1e-6)):
        if word.endswith(unit):
            return float(word.removesuffix(unit)) * factor
    return float(quantity(word))


def scaler_view(
    scaler: Mapping[str, Any], pods: Iterable[Mapping[str, Any]], now: datetime.datetime
) -> dict[str, Any]:
    """Return what is shown of an autoscaler; one without metrics is at fault after a while only.

    After a shutdown its condition stays what it was: then its pods have not run for long.
    """
    spec, status = scaler["spec"], scaler.get("status") or {}
    target = spec["metrics"][0]["resource"]["target"].get("averageUtilization")
    current = next(
        (
            (metric.get("resource") or {}).get("current", {}).get("averageUtilization")
            for metric in status.get("currentMetrics") or []
        ),
        None,
    )
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    active = conditions.get("ScalingActive", {})
    mine = _pods_of(spec["scaleTargetRef"]["name"], pods)
    since = active.get("lastTransitionTime")
    patient = metrics_awaited(mine, now) or (bool(since) and seconds_since(since, now) < _METRICS_S)
    return {
        "least": spec.get("minReplicas", 1),
        "most": spec["maxReplicas"],
        "now": status.get("currentReplicas", 0),
        "target": target,
        "current": current,
        "fault": active.get("message", "")
        if active.get("status") == "False" and not patient
        else "",
        "asleep": active.get("reason") == "ScalingDisabled",
    }


def metrics_awaited(pods: Iterable[Mapping[str, Any]], now: datetime.datetime) -> bool:
    """Return whether no container of ``pods`` has run for long enough to be measured."""
    starts = [
        (container.get("state") or {}).get("running", {}).get("startedAt")
        for pod in pods
        for container in (pod.get("status") or {}).get("containerStatuses") or []
    ]
    began = min((moment(each) for each in starts if each), default=None)
    return began is not None and (now - began).total_seconds() < _METRICS_S


def warnings(
    events: Iterable[Mapping[str, Any]],
    scalers: Mapping[str, Mapping[str, Any]],
    now: datetime.datetime,
) -> list[dict[str, Any]]:
    """Return the cluster's warnings, oldest first, each once, with its age in seconds.

    An autoscaler complains until its pods are measured; once it has a measure that is history.
    """
    told: dict[tuple[str, str], dict[str, Any]] = {}
    for event in sorted(events, key=_last_seen):
        about = event["involvedObject"]
        name = str(about.get("name", ""))
        measured = scalers.get(name, {}).get("current") is not None
        if event.get("type") == "Warning" and not (about.get("kind") == _SCALER and measured):
            text = f"{event.get('reason', '')}: {event.get('message', '')}"
            told.pop((name, text), None)  # the last time it was said counts
            age = seconds_since(_last_seen(event), now)
            told[name, text] = {"about": name, "text": text, "age_s": age}
    return list(told.values())


def _last_seen(event: Mapping[str, Any]) -> str:
    """Return when an event was seen last; newer clients write a time that the old field lacks."""
    series = (event.get("series") or {}).get("lastObservedTime")
    made = event["metadata"]["creationTimestamp"]
    return str(series or event.get("lastTimestamp") or event.get("eventTime") or made)


def quota_view(quota: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what is used of each part of a quota."""
    status = quota.get("status") or {}
    used, hard = status.get("used") or {}, status.get("hard") or {}
    return {
        name: {
            "used": used.get(name, "0"),
            "hard": limit,
            "share": quantity(used.get(name, "0")) / max(quantity(limit), 1e-9),
        }
        for name, limit in hard.items()
    }


def claim_view(claim: Mapping[str, Any]) -> dict[str, str]:
    """Return what is shown of a volume claim."""
    spec, status = claim["spec"], claim.get("status") or {}
    return {
        "phase": str(status.get("phase", "?")),
        "size": str((status.get("capacity") or spec["resources"]["requests"]).get("storage", "?")),
        "class": str(spec.get("storageClassName", "default")),
    }


def route_view(route: Mapping[str, Any]) -> dict[str, str]:
    """Return the address of an OpenShift route, and what its router says of it."""
    spec, status = route["spec"], route.get("status") or {}
    ingress = (status.get("ingress") or [{}])[0]
    conditions = ingress.get("conditions") or []
    admitted: Mapping[str, Any] = next(
        (each for each in conditions if each["type"] == "Admitted"), {}
    )
    refused = admitted.get("status") == "False"
    host = ingress.get("host") or spec.get("host")
    state = "admitted" if admitted else "no router has taken it"
    return {
        "url": f"{'https' if spec.get('tls') else 'http'}://{host}" if host else "-",
        "state": "refused" if refused else state,
        "fault": str(admitted.get("message") or admitted.get("reason")) if refused else "",
    }


def history(
    deployment: Mapping[str, Any], sets: Iterable[Mapping[str, Any]], now: datetime.datetime
) -> list[dict[str, Any]]:
    """Return a Deployment's versions, newest first."""
    return [
        {
            "revision": revision(each),
            "image": each["spec"]["template"]["spec"]["containers"][0]["image"],
            "ready": int((each.get("status") or {}).get("readyReplicas", 0)),
            "age_s": seconds_since(each["metadata"]["creationTimestamp"], now),
        }
        for each in versions_of(deployment, sets)
    ]


def cluster_problems(status: Mapping[str, Any], commands: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the objects, each with what to type; applications first."""
    found = []
    for name, service in status["services"].items():
        look = f"{commands['logs']} -e service={name}"
        if service["state"] == "asleep":
            found.append(f"{name} has no replicas. Type: {commands['startup']}")
        elif service["state"] == "not ready":
            found.append(f"{name} is {service['state']}: {service['reason']}. Its log: {look}")
        elif _OOM in service["last_end"]:
            limit = service["limits"]["memory"] / 2**20
            found.append(
                f"{name} was ended for want of memory (limit {limit:.0f}Mi): raise "
                f"kubernetes_resources['{name}'] in inventory/group_vars/all/kubernetes.yml, "
                f"then type: {commands['build']}"
            )
        elif service["restarts"] > _RESTARTS and service["last_end_s"] < _RECENT_S:
            found.append(
                f"{name} was restarted {service['restarts']} times, at last because of "
                f"{service['last_end'] or 'a failed probe'}. Its log: {look}"
            )
    found += [
        f"the claim {name} is {claim['phase']}: does the storage class {claim['class']} work? "
        f"See: kubectl describe pvc {name} -n {commands['namespace']}"
        for name, claim in status["claims"].items()
        if claim["phase"] != "Bound"
    ]
    found += [
        f"the route {name} is refused: {route['fault']}. "
        f"See: kubectl describe route {name} -n {commands['namespace']}"
        for name, route in status["routes"].items()
        if route["fault"]
    ]
    found += [
        f"the autoscaler of {name} does nothing: {scaler['fault']}. Is metrics-server running?"
        for name, scaler in status["scalers"].items()
        if scaler["fault"] and not scaler["asleep"]
    ]
    found += [
        f"the quota's {name} is nearly used up ({part['used']} of {part['hard']}): "
        "a further replica may be refused"
        for name, part in status["quota"].items()
        if part["share"] > _NEAR and name.startswith(("requests", "pods"))
    ]
    return found


_RESTARTS = 3
