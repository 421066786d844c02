"""What an instance is on a cluster, and what forbids building it: pure, over the API's objects."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

REPLICAS = "bitcoin-prediction/replicas"  # annotation: how many there were before a shutdown
STATE = "instance-state"  # ConfigMap: what a shutdown leaves for the startup after it
SECRET = "database"  # noqa: S105 - its name: where the database is and how one logs in
TOPICS_JOB = "app.kubernetes.io/name=kafka-topics"
DECLARED = "bitcoin-prediction/declared"  # label of such a job
_APPLICATIONS = "Deployment"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_NAME = "app.kubernetes.io/name"
_PART_OF = "app.kubernetes.io/part-of"
_UNITS = {
    "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_OF_A_NAMESPACE = ("get", "create", "patch", "delete")
# What the playbooks ask of the API: group, resource, verbs.
NEEDED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("", "configmaps", _OF_A_NAMESPACE),
    ("", "secrets", ("get", "create", "patch")),
    ("", "services", _OF_A_NAMESPACE),
    ("", "persistentvolumeclaims", ("list", *_OF_A_NAMESPACE)),
    ("", "resourcequotas", ("list", *_OF_A_NAMESPACE)),
    ("", "limitranges", _OF_A_NAMESPACE),
    ("", "pods", ("list", *_OF_A_NAMESPACE)),
    ("", "pods/log", ("get",)),
    # Over a WebSocket older API servers ask for get, newer ones for create.
    ("", "pods/exec", ("get", "create")),
    ("", "pods/portforward", ("get", "create")),
    ("", "events", ("list",)),
    ("apps", "deployments", ("list", *_OF_A_NAMESPACE)),
    ("apps", "statefulsets", ("list", *_OF_A_NAMESPACE)),
    ("apps", "replicasets", ("list",)),
    ("batch", "jobs", ("list", *_OF_A_NAMESPACE)),
    ("autoscaling", "horizontalpodautoscalers", ("list", *_OF_A_NAMESPACE)),
    ("policy", "poddisruptionbudgets", _OF_A_NAMESPACE),
    ("networking.k8s.io", "networkpolicies", _OF_A_NAMESPACE),
    ("discovery.k8s.io", "endpointslices", ("list", "watch")),
)
ROUTES = "route.openshift.io"  # a group that OpenShift's API has; what is needed in it, where it is
NEEDED_ROUTES = (ROUTES, "routes", ("list", *_OF_A_NAMESPACE))


def mode_of(workloads: Iterable[Mapping[str, Any]], shut_down: str) -> str:
    """Return absent, stopped, paused, services, running or damaged.

    ``shut_down`` is the mode that the last shutdown recorded; it tells a pause from a stop.
    """
    counts = {(str(w["kind"]), name_of(w)): replicas_of(w) for w in workloads}
    if not counts:
        return "absent"
    applications = [count for (kind, _), count in counts.items() if kind == _APPLICATIONS]
    platform = [count for (kind, _), count in counts.items() if kind != _APPLICATIONS]
    if not any(counts.values()):
        return "paused" if shut_down == "pause" else "stopped"
    if not any(applications) and all(platform):
        return "services"
    return "running" if all(counts.values()) else "damaged"


def name_of(item: Mapping[str, Any]) -> str:
    """Return an object's name."""
    return str(item["metadata"]["name"])


def replicas_of(workload: Mapping[str, Any]) -> int:
    """Return how many replicas a workload is to have."""
    return int(workload["spec"].get("replicas", 1))


def replicas_before(workload: Mapping[str, Any]) -> int:
    """Return how many replicas a workload had before it was shut down; at least one."""
    recorded = (workload["metadata"].get("annotations") or {}).get(REPLICAS, "")
    return max(1, int(recorded)) if str(recorded).isdigit() else 1


def image_of(workload: Mapping[str, Any]) -> str:
    """Return the image of a workload's first container."""
    return str(workload["spec"]["template"]["spec"]["containers"][0]["image"])


def ownership_fault(
    namespace: Mapping[str, Any] | None, name: str, part_of: str, instance: str
) -> str:
    """Return why a namespace must be left alone; empty when it is ours or not there."""
    if namespace is None:
        return ""
    labels = namespace["metadata"].get("labels") or {}
    if namespace.get("status", {}).get("phase") == "Terminating":
        return (
            f"the namespace {name} is being deleted: wait until `kubectl get namespace {name}` "
            "finds it no more"
        )
    if labels.get(_PART_OF) != part_of:
        return (
            f"the namespace {name} was not made by this project, so nothing in it was touched. "
            "Take another instance, and so another namespace: -e instance=NAME (or, if it was "
            f"made for this: kubectl label namespace {name} {_PART_OF}={part_of})"
        )
    owner = labels.get("bitcoin-prediction/instance", instance)
    if owner != instance:
        return f"the namespace {name} belongs to instance '{owner}': -e instance={owner}"
    return ""


def storage_fault(classes: Iterable[Mapping[str, Any]], wanted: str) -> str:
    """Return why claims would stay unbound; empty when they have a storage class."""
    names = {name_of(each): (each["metadata"].get("annotations") or {}) for each in classes}
    known = ", ".join(sorted(names)) or "none"
    if wanted and wanted not in names:
        return f"there is no storage class {wanted!r}; the cluster has: {known}"
    if not wanted and not any(marks.get(_DEFAULT_CLASS) == "true" for marks in names.values()):
        advice = f"-e storage_class={min(names)}" if names else "ask for one (kubectl get sc)"
        return f"the cluster has no default storage class; it has: {known}. Type: {advice}"
    return ""


def architecture_fault(nodes: Iterable[Mapping[str, Any]], machine: str) -> str:
    """Return why images built on this machine would not run on any node."""
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    ours = names.get(machine, machine)
    theirs = {str(n.get("status", {}).get("nodeInfo", {}).get("architecture", "")) for n in nodes}
    theirs.discard("")
    if not theirs or ours in theirs:
        return ""
    return (
        f"this machine builds images for {ours}, and the nodes are {', '.join(sorted(theirs))}: "
        "run this on a machine like the nodes, or name images that were built there: "
        """-e '{"service_images": {"web-app": "REGISTRY/web-app:TAG", ...}}'"""
    )


def quota_faults(
    quotas: Iterable[Mapping[str, Any]], needs: Mapping[str, float], own: str, namespace: str
) -> list[str]:
    """Return which quotas of others leave no room for all replicas and a surge pod.

    ``needs`` is by the quota's own names, ``own`` the name of the quota that we make.
    """
    faults = []
    for quota in quotas:
        hard = (quota.get("spec") or {}).get("hard") or {}
        short = {
            alias: need
            for what, need in needs.items()
            for alias in ((what, what.removeprefix("requests.")) if what in _SHORT else (what,))
            if alias in hard and quantity(hard[alias]) < need
        }
        name = name_of(quota)
        if short and name != own:
            found = ", ".join(
                f"{what}={hard[what]} ({_as_quantity(what, need)} needed)"
                for what, need in short.items()
            )
            enough = {what: _as_quantity(what, need) for what, need in short.items()}
            patch = json.dumps({"spec": {"hard": enough}}, separators=(",", ":"))
            faults.append(
                f"the quota {name} leaves no room for all replicas and one surge pod: {found}. "
                f"Who may change it types: kubectl --namespace {namespace} patch resourcequota "
                f"{name} --patch '{patch}'; or ask for less (kubernetes_resources and "
                "kubernetes_autoscaling in inventory/group_vars/all/kubernetes.yml)"
            )
    return faults


def _as_quantity(what: str, amount: float) -> str:
    """Return an amount of cpu or memory as Kubernetes writes it, rounded up."""
    if "memory" in what:
        return f"{math.ceil(amount / 2**20)}Mi"
    return f"{math.ceil(round(amount * 1000, 6))}m"


_SHORT = ("requests.cpu", "requests.memory")


def has_ended(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod only lies about: it did its work, failed or was evicted."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def taken(pods: Iterable[Mapping[str, Any]], namespace: str) -> dict[str, float]:
    """Return the cores and bytes that pods outside ``namespace`` request and hold."""
    held = {"cpu": 0.0, "memory": 0.0}
    for pod in pods:
        if has_ended(pod) or pod["metadata"].get("namespace") == namespace:
            continue
        for container in pod["spec"].get("containers") or []:
            asked = (container.get("resources") or {}).get("requests") or {}
            for what in held:
                held[what] += quantity(asked.get(what, "0"))
    return held


def room_fault(
    nodes: Iterable[Mapping[str, Any]], needs: Mapping[str, float], held: Mapping[str, float]
) -> str:
    """Return why all nodes together are too small for what is to be requested.

    ``held`` is what the pods of others request.
    """
    schedulable = [n for n in nodes if not (n.get("spec") or {}).get("unschedulable")]
    for what in ("cpu", "memory") if schedulable else ():
        room = sum(
            quantity(node["status"].get("allocatable", {}).get(what, "0")) for node in schedulable
        )
        need = needs[f"requests.{what}"]
        if room - held[what] < need:
            return (
                f"the nodes together offer {shown(what, room)} of {what}, the pods of others "
                f"request {shown(what, held[what])} of that, and {shown(what, need)} are needed: "
                "add a node or a bigger one, or ask for less (kubernetes_resources in "
                "inventory/group_vars/all/kubernetes.yml)"
            )
    return ""


def quantity(text: Any) -> float:
    """Return a Kubernetes quantity as a number: cores or bytes."""
    word = str(text)
    unit = next((u for u in sorted(_UNITS, key=len, reverse=True) if word.endswith(u)), "")
    return float(word.removesuffix(unit)) * _UNITS.get(unit, 1.0)


def shown(what: str, amount: float) -> str:
    """Return an amount of cpu or memory as a person writes it."""
    return f"{amount / 2**30:.2f}Gi" if "memory" in what else f"{amount:g}"


def denied(answers: Mapping[tuple[str, str, str], bool], namespace: str) -> str:
    """Return which verbs on which resources are not permitted; empty when all are."""
    missing: dict[str, list[str]] = {}
    for (group, resource, verb), allowed in answers.items():
        if not allowed:
            name = f"{resource}.{group}" if group else resource
            missing.setdefault(name, []).append(verb)
    if not missing:
        return ""
    rules = "; ".join(f"{', '.join(verbs)} on {name}" for name, verbs in missing.items())
    return (
        f"your account lacks permissions in the namespace {namespace}: {rules}. Ask for a role "
        f"that has them, or look yourself: kubectl auth can-i --list -n {namespace}"
    )
