"""When a rollout is over, and when it is hopeless."""

import datetime
from typing import Any

import pytest
from plugins.module_utils.workload_state import (
    newest_pods,
    not_rolled_out,
    pod_fault,
    pod_words,
    refused,
    version_labels,
)

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def deployment(**status: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"generation": 2},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 2, **status},
    }


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        (deployment(replicas=1, readyReplicas=1, updatedReplicas=1), ""),
        (deployment(replicas=2, readyReplicas=1, updatedReplicas=1), "old replica(s) still ending"),
        (deployment(replicas=1, readyReplicas=1), "0 of 1 replicas updated"),
        (deployment(replicas=1, updatedReplicas=1), "0 of 1 replicas ready"),
        (deployment(observedGeneration=1, readyReplicas=1, updatedReplicas=1), "controller"),
        ({"kind": "Job", "metadata": {}, "spec": {}, "status": {"succeeded": 1}}, ""),
        ({"kind": "Job", "metadata": {}, "spec": {}, "status": {}}, "has not finished"),
    ],
)
def test_ready_replicas_of_the_old_version_do_not_count(
    workload: dict[str, Any], said: str
) -> None:
    found = not_rolled_out(workload)
    assert (found == "") == (said == "")
    assert said in found


def pod(container: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "p"},
        "status": {"containerStatuses": [{"name": "c", **container}]},
    }


def test_an_image_that_cannot_be_had_ends_the_wait() -> None:
    waiting = pod({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such"}}})
    assert pod_fault(waiting, 1) == "c: ImagePullBackOff: no such"


def test_one_crash_passes_and_three_do_not() -> None:
    crashed = {"lastState": {"terminated": {"reason": "Error", "exitCode": 1}}, "ready": False}
    assert pod_fault(pod({**crashed, "restartCount": 1}), 5) == ""
    assert "3 times (Error, exit code 1)" in pod_fault(pod({**crashed, "restartCount": 3}), 60)
    assert pod_fault(pod({**crashed, "ready": True, "restartCount": 9}), 60) == ""
    again = {**crashed, "restartCount": 3, "state": {"running": {}}}
    assert pod_fault(pod(again), 60) == ""


def test_a_pod_that_fits_nowhere_is_given_time_to_find_room() -> None:
    condition = {"type": "PodScheduled", "reason": "Unschedulable", "message": "Insufficient cpu"}
    unscheduled = {"metadata": {}, "status": {"conditions": [condition]}}
    assert pod_fault(unscheduled, 1) == ""
    assert "Insufficient cpu" in pod_fault(unscheduled, 60)


def test_a_claim_is_given_time_to_get_its_volume() -> None:
    message = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
    condition = {"type": "PodScheduled", "reason": "Unschedulable", "message": message}
    meta = {"name": "kafka-0", "namespace": "space"}
    waiting = {"metadata": meta, "status": {"conditions": [condition]}}
    assert pod_fault(waiting, 59) == ""
    said = pod_fault(waiting, 61)
    assert "kubectl --namespace space describe pvc" in said
    assert "kubectl --namespace space delete pod kafka-0" in said


@pytest.mark.parametrize(
    ("message", "seconds", "said"),
    [
        ("exceeded quota: platform", 31, True),
        ("exceeded quota: platform", 29, False),  # while pods end
        ("violates PodSecurity", 0, True),
    ],
)
def test_what_is_refused_is_said(message: str, seconds: int, said: bool) -> None:
    condition = {
        "type": "ReplicaFailure",
        "status": "True",
        "message": message,
        "lastTransitionTime": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    later = NOW + datetime.timedelta(seconds=seconds)
    assert refused(deployment(conditions=[condition]), later) == (message if said else "")
    assert refused(deployment(), later) == ""


def test_pods_that_are_going_are_not_asked() -> None:
    def named(name: str, born: str, **extra: str) -> dict[str, Any]:
        meta = {"name": name, "creationTimestamp": born, "labels": {"app": "a"}, **extra}
        return {"metadata": meta}

    pods = [named("old", "1"), named("new", "2"), named("gone", "3", deletionTimestamp="4")]
    assert [p["metadata"]["name"] for p in newest_pods(pods, {"app": "a"})] == ["new", "old"]
    assert newest_pods(pods, {"app": "b"}) == []


def test_pods_of_the_version_before_are_told_from_those_of_the_newest() -> None:
    def version(number: int, mark: str, owner: str = "d") -> dict[str, Any]:
        annotations = {"deployment.kubernetes.io/revision": str(number)}
        labels = {"app": "a", "pod-template-hash": mark}
        owners = [{"uid": owner}]
        return {
            "metadata": {"annotations": annotations, "labels": labels, "ownerReferences": owners}
        }

    template = {"metadata": {"labels": {"app": "a"}}}
    kinds = {"kind": "Deployment", "metadata": {"uid": "d"}, "spec": {"template": template}}
    versions = [version(9, "before"), version(10, "newest"), version(11, "another's", "e")]
    assert version_labels(kinds, versions) == {"app": "a", "pod-template-hash": "newest"}
    assert version_labels(kinds, []) == {"app": "a"}
    stateful = {**kinds, "kind": "StatefulSet", "status": {"updateRevision": "a-7"}}
    assert version_labels(stateful, versions) == {"app": "a", "controller-revision-hash": "a-7"}


def test_what_a_pod_does_is_said_in_words() -> None:
    asleep = {"name": "web-app", "ready": False, "state": {"running": {}}}
    pulled = {"name": "web-app", "ready": False, "state": {"waiting": {"reason": "Pulling"}}}
    done = {"name": "schema", "ready": False, "state": {"terminated": {"exitCode": 0}}}
    serves = {"name": "web-app", "ready": True, "state": {"running": {}}}

    def words(phase: str, *containers: dict[str, Any], first: dict[str, Any] = done) -> str:
        status = {"phase": phase, "initContainerStatuses": [first]}
        return pod_words({"status": {**status, "containerStatuses": list(containers)}})

    assert words("Running", asleep) == "Running; web-app runs and is not ready"
    assert words("Pending", pulled) == "Pending; web-app waits: Pulling"
    assert words("Running", serves) == "Running"
    assert pod_words({}) == "Pending"
