"""Whether Kubernetes workloads are rolled out, or never will be: pure, over the API's objects."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

# Waiting reasons that no patience cures. CrashLoopBackOff is decided by restarts: one crash passes.
_HOPELESS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
RESTARTS = 3
_SCHEDULE_S = 15.0
_BIND_S = 60.0  # a provisioner makes volumes one after the other, and may still be starting
_UNBOUND = "unbound immediate PersistentVolumeClaims"
_QUOTA = "exceeded quota"
_QUOTA_S = 30.0  # a pod has 20 to end
_PULL_S = 10.0
_PATIENT = frozenset(
    {"ErrImagePull", "CreateContainerConfigError"}
)  # retried at once by the kubelet


def moment(text: Any) -> datetime.datetime:
    """Return a time that the API wrote."""
    return datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))


def seconds_since(text: Any, now: datetime.datetime) -> float:
    """Return how many seconds before ``now`` a time is that the API wrote."""
    return (now - moment(text)).total_seconds()


def not_rolled_out(workload: Mapping[str, Any]) -> str:
    """Return why a Deployment, StatefulSet or Job is not at its newest version; empty when it is.

    Counts updated replicas: ready ones alone may all be old.
    """
    status = workload.get("status") or {}
    if workload["kind"] == "Job":
        return "" if status.get("succeeded") else "has not finished"
    spec = workload["spec"]
    wanted = int(spec.get("replicas", 1))
    if int(status.get("observedGeneration", 0)) < int(workload["metadata"].get("generation", 0)):
        return "has not been looked at by its controller"
    ready, updated = int(status.get("readyReplicas", 0)), int(status.get("updatedReplicas", 0))
    if updated < wanted and not _same_revision(status):
        return f"{updated} of {wanted} replicas updated"
    if ready < wanted:
        return f"{ready} of {wanted} replicas ready"
    extra = int(status.get("replicas", 0)) - wanted
    return f"{extra} old replica(s) still ending" if extra > 0 else ""


def _same_revision(status: Mapping[str, Any]) -> bool:
    """Return whether a StatefulSet has no update under way (it then reports none as updated)."""
    revision = status.get("updateRevision")
    return revision is not None and revision == status.get("currentRevision")


def refused(workload: Mapping[str, Any], now: datetime.datetime) -> str:
    """Return why the API server refuses a workload's pods (quota, Pod Security); empty when not.

    A quota counts pods that are ending: what it refuses may be had once they are gone.
    """
    for condition in (workload.get("status") or {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            message = str(condition.get("message", "its pods are refused"))
            age = seconds_since(condition["lastTransitionTime"], now)
            if _QUOTA not in message or age > _QUOTA_S:
                return message
        if condition["type"] == "Failed" and condition["status"] == "True":
            return str(condition.get("message", "it failed"))
    return ""


def pod_fault(pod: Mapping[str, Any], seconds: float, restarts: int = RESTARTS) -> str:
    """Return why a pod will not become ready; empty while there is hope.

    ``seconds`` is its age; ``restarts`` says how many ends of a container leave none.
    """
    status = pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition.get("reason") == "Unschedulable":
            return _unschedulable(pod, str(condition.get("message", "")), seconds)
    faults = (_container_fault(container, seconds, restarts) for container in _containers(pod))
    return next((fault for fault in faults if fault), "")


def _unschedulable(pod: Mapping[str, Any], message: str, seconds: float) -> str:
    if _UNBOUND not in message:
        return f"cannot be scheduled: {message}" if seconds > _SCHEDULE_S else ""
    if seconds <= _BIND_S:
        return ""
    meta = pod["metadata"]
    kubectl = f"kubectl --namespace {meta.get('namespace', '')}"
    return (
        f"has waited {seconds:.0f} s for the volume of its claim. Type: {kubectl} describe pvc\n"
        "Pending there: does the provisioner of the storage class run? Type: kubectl get pods "
        "--all-namespaces (on minikube it is storage-provisioner in kube-system)\n"
        "Bound there: the scheduler has not looked again. Type: "
        f"{kubectl} delete pod {meta.get('name', 'NAME')}"
    )


def _container_fault(container: Mapping[str, Any], seconds: float, most: int) -> str:
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason = str(waiting.get("reason", ""))
    if reason in _HOPELESS and not (reason in _PATIENT and seconds < _PULL_S):
        return f"{container['name']}: {reason}: {waiting.get('message', '')}".rstrip(": ")
    restarts = int(container.get("restartCount", 0))
    ended = (container.get("lastState") or {}).get("terminated") or {}
    # One that runs may get ready yet; if it does not, it ends again soon.
    if restarts >= most and not (container.get("ready") or "running" in state):
        why = f"{ended.get('reason', 'it ends')}, exit code {ended.get('exitCode')}"
        return f"{container['name']}: ended {restarts} times ({why})"
    return ""


def _containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the states of a pod's containers, those that run first of all before the others."""
    status = pod.get("status") or {}
    kinds = ("initContainerStatuses", "containerStatuses")
    return [container for kind in kinds for container in status.get(kind) or []]


def lacks_image(pod: Mapping[str, Any]) -> bool:
    """Return whether a container of a pod waits for its image."""
    waiting = ((each.get("state") or {}).get("waiting") or {} for each in _containers(pod))
    return any(each.get("reason") in ("ErrImagePull", "ImagePullBackOff") for each in waiting)


def ends_of(pod: Mapping[str, Any]) -> int:
    """Return how often the container of a pod ended that ended most."""
    return max((int(each.get("restartCount", 0)) for each in _containers(pod)), default=0)


def pod_words(pod: Mapping[str, Any]) -> str:
    """Return what a pod that is waited for does: its phase, and what holds up its containers."""
    status = pod.get("status") or {}
    waiting = [f"{each['name']} {held_up(each)}" for each in _containers(pod) if held_up(each)]
    return "; ".join([str(status.get("phase", "Pending")), *waiting])


def held_up(container: Mapping[str, Any]) -> str:
    """Return why a container is not ready; empty when it is, or has done its work."""
    state = container.get("state") or {}
    if container.get("ready") or "terminated" in state:
        return ""
    waiting = state.get("waiting")
    return f"waits: {waiting.get('reason', '?')}" if waiting else "runs and is not ready"


def newest_pods(
    pods: Iterable[Mapping[str, Any]], labels: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    """Return the pods with ``labels`` that are not being deleted, newest first."""
    mine = [
        pod
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp")
        and labels.items() <= (pod["metadata"].get("labels") or {}).items()
    ]
    return sorted(mine, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)


def version_labels(
    workload: Mapping[str, Any], replica_sets: Iterable[Mapping[str, Any]]
) -> dict[str, str]:
    """Return the labels that only the pods of a workload's newest version have.

    An autoscaler may start pods of the version before while a new one is rolled out.
    """
    labels: dict[str, str] = dict(workload["spec"]["template"]["metadata"]["labels"])
    if workload["kind"] == "StatefulSet":
        version = (workload.get("status") or {}).get("updateRevision")
        return labels | ({"controller-revision-hash": str(version)} if version else {})
    versions = versions_of(workload, replica_sets)
    return labels | (dict(versions[0]["metadata"]["labels"]) if versions else {})


def versions_of(
    deployment: Mapping[str, Any], replica_sets: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the replica sets of a Deployment, the newest version first."""
    uid = deployment["metadata"].get("uid")
    mine = (
        each
        for each in replica_sets
        if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences") or [])
    )
    return sorted(mine, key=revision, reverse=True)


def revision(replica_set: Mapping[str, Any]) -> int:
    """Return a replica set's number in its Deployment's history."""
    marks = replica_set["metadata"].get("annotations") or {}
    return int(marks.get("deployment.kubernetes.io/revision", 0))
