"""What state a minikube cluster is in, and the next step towards the wanted one.

Pure: no command is run here. The facts are those that minikube v1.38 was seen to follow (Docker
driver): its exit code is a sum of bits, `null` is printed for a lost node as well as early in a
normal start, `start` on a running cluster restarts every container, and hangs on a paused node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

PROFILE_NOT_FOUND = 85
CONFIG_UNREADABLE = 38


class Condition(StrEnum):
    """What was found. The value is what people read."""

    DOCKER_DOWN = "Docker does not answer"
    ABSENT = "there is no cluster"
    RUNNING = "running"
    PAUSED = "paused"
    WORKLOADS_FROZEN = "running, but containers in the node are frozen"
    NODE_FROZEN = "the node's container is paused"
    STOPPED = "stopped"
    NETWORK_LOST = "stopped, and the Docker network of the node is gone"
    KUBECONFIG_WRONG = "running, but the kubeconfig does not point at it"
    CERTIFICATES_EXPIRED = "certificates have expired"
    KUBELET_DOWN = "the kubelet is not running"
    API_DOWN = "the API server does not answer"
    NODE_DOWN = "neither the kubelet nor the API server is running"
    CONTAINER_LOST = "the node's container is gone, its volume is there"
    DATA_LOST = "the node's container and its volume are gone"
    MACHINE_LOST = "minikube has lost the node's machine directory"
    # On a Docker shared with others the node may be of another user, whose profile is not seen.
    PROFILE_LOST = (
        "there is no profile, but parts of a node of that name "
        "(another user's? Then take -e minikube_profile=NAME)"
    )
    PROFILE_CORRUPT = "the profile's configuration cannot be read"
    SILENT = "minikube status does not answer in time"


class Step(StrEnum):
    """One thing to do. The value is what people read."""

    CREATE = "create the cluster"
    START = "start the cluster"
    START_BRIEFLY = "make the node's container anew on its old volume"
    UNPAUSE = "unpause all namespaces"
    THAW_NODE = "unpause the node's container"
    FIX_KUBECONFIG = "point the kubeconfig at the cluster"
    FIX_NETWORK = "make the node's Docker network anew"
    WAIT = "give the API server time to come back by itself"
    RESTART_KUBELET = "restart the kubelet in the node"
    REBUILD_CONTROL_PLANE = "write the control plane's manifests anew from the volume"
    PAUSE = "pause all namespaces"
    STOP = "stop the cluster"
    STOP_CONTAINER = "stop the node's container"
    DELETE = "delete the cluster"
    REMOVE_REMAINS = "remove what was left of the node"
    RECREATE = "delete the cluster and create it anew"


@dataclass(frozen=True)
class Observation:
    """What was seen at one moment.

    ``status_code`` and ``status`` are of ``minikube status -o json`` (None: timed out; no object).
    ``container`` is Docker's state of the node's container (None: there is none).
    ``frozen`` counts paused containers inside the node.
    """

    docker: bool
    status_code: int | None = None
    status: Mapping[str, str] | None = None
    container: str | None = None
    volume: bool = False
    network: bool = True
    frozen: int = 0
    certificates_expired: bool = False


@dataclass(frozen=True)
class Decision:
    """Either a ``step``, or ``done``, or a ``refusal`` in words."""

    step: Step | None = None
    done: bool = False
    refusal: str = ""


def classify(seen: Observation) -> Condition:
    """Return the condition that an observation means."""
    if not seen.docker:
        return Condition.DOCKER_DOWN
    if seen.status_code == CONFIG_UNREADABLE:
        return Condition.PROFILE_CORRUPT
    if seen.status_code == PROFILE_NOT_FOUND:
        remains = seen.container is not None or seen.volume
        return Condition.PROFILE_LOST if remains else Condition.ABSENT
    if seen.container == "paused":
        return Condition.NODE_FROZEN
    if seen.container is None:
        return Condition.CONTAINER_LOST if seen.volume else Condition.DATA_LOST
    if seen.status_code is None:
        return Condition.SILENT
    if seen.status is None:
        return Condition.MACHINE_LOST
    return _of_status(seen, seen.status)


def _of_status(seen: Observation, status: Mapping[str, str]) -> Condition:
    if status.get("Host") != "Running":
        return Condition.STOPPED if seen.network else Condition.NETWORK_LOST
    kubelet, api = (status.get(part) == "Running" for part in ("Kubelet", "APIServer"))
    if status.get("APIServer") == "Paused":
        return Condition.PAUSED
    if seen.certificates_expired:
        return Condition.CERTIFICATES_EXPIRED
    if not api:
        return Condition.API_DOWN if kubelet else Condition.NODE_DOWN
    if not kubelet:
        return Condition.KUBELET_DOWN
    if status.get("Kubeconfig") != "Configured":
        return Condition.KUBECONFIG_WRONG
    return Condition.WORKLOADS_FROZEN if seen.frozen else Condition.RUNNING


# Least destructive first. RECREATE deletes data: last, where nothing else is known to help.
_TO_RUNNING: Mapping[Condition, Sequence[Step]] = {
    Condition.ABSENT: (Step.CREATE,),
    Condition.PAUSED: (Step.UNPAUSE, Step.START),
    Condition.WORKLOADS_FROZEN: (Step.UNPAUSE, Step.START),
    Condition.NODE_FROZEN: (Step.THAW_NODE,),
    Condition.STOPPED: (Step.START, Step.RECREATE),
    Condition.NETWORK_LOST: (Step.FIX_NETWORK, Step.START, Step.RECREATE),
    Condition.KUBECONFIG_WRONG: (Step.FIX_KUBECONFIG, Step.START),
    Condition.CERTIFICATES_EXPIRED: (Step.START, Step.STOP, Step.RECREATE),
    Condition.KUBELET_DOWN: (Step.RESTART_KUBELET, Step.START, Step.STOP, Step.RECREATE),
    Condition.API_DOWN: (
        Step.WAIT,
        Step.REBUILD_CONTROL_PLANE,
        Step.START,
        Step.STOP,
        Step.RECREATE,
    ),
    Condition.NODE_DOWN: (Step.START, Step.REBUILD_CONTROL_PLANE, Step.STOP, Step.RECREATE),
    # minikube gives up on the container, too, when the brief wait is over: some need the long one.
    Condition.CONTAINER_LOST: (Step.START_BRIEFLY, Step.START, Step.RECREATE),
    Condition.DATA_LOST: (Step.CREATE, Step.RECREATE),
    Condition.MACHINE_LOST: (Step.START_BRIEFLY, Step.START, Step.RECREATE),
    Condition.PROFILE_LOST: (Step.RECREATE,),
    Condition.PROFILE_CORRUPT: (Step.RECREATE,),
    Condition.SILENT: (Step.STOP, Step.STOP_CONTAINER, Step.RECREATE),
}
# Another start would only wait for what the container took with it.
_AFTER_A_NEW_CONTAINER = (Step.REBUILD_CONTROL_PLANE, Step.START, Step.STOP, Step.RECREATE)
_NOT_RUNNING = frozenset(
    {Condition.STOPPED, Condition.NETWORK_LOST, Condition.CONTAINER_LOST, Condition.DATA_LOST}
)
_TO_STOPPED: Mapping[Condition, Sequence[Step]] = {
    Condition.NODE_FROZEN: (Step.THAW_NODE,),
    Condition.MACHINE_LOST: (Step.STOP_CONTAINER,),
    Condition.PROFILE_LOST: (Step.STOP_CONTAINER,),
    Condition.PROFILE_CORRUPT: (Step.STOP_CONTAINER,),
}


def decide(
    condition: Condition,
    wanted: str,
    tried: Sequence[tuple[Condition, Step]] = (),
    *,
    allow_recreate: bool = False,
    container_runs: bool = True,
) -> Decision:
    """Return what to do next. ``wanted`` is running, paused, stopped or absent.

    A step is taken once for each condition in which it may help; ``tried`` holds those taken.
    """
    if condition is Condition.DOCKER_DOWN:
        return Decision(refusal="Docker does not answer")
    if condition is Condition.ABSENT and wanted in ("paused", "stopped"):
        return Decision(refusal=f"there is no cluster that could be {wanted}")
    if _reached(condition, wanted, container_runs=container_runs):
        return Decision(done=True)
    anew = condition is Condition.NODE_DOWN and any(s is Step.START_BRIEFLY for _, s in tried)
    for step in _AFTER_A_NEW_CONTAINER if anew else _ladder(condition, wanted):
        if (condition, step) in tried:
            continue
        if step is Step.RECREATE and not allow_recreate:
            return Decision(refusal=f"{condition.value}: only deleting it and its data would help")
        return Decision(step=step)
    return Decision(refusal=f"{condition.value}: everything that is known to help was tried")


def _reached(condition: Condition, wanted: str, *, container_runs: bool) -> bool:
    if wanted == "stopped":
        lost = (Condition.MACHINE_LOST, Condition.PROFILE_LOST, Condition.PROFILE_CORRUPT)
        return condition in _NOT_RUNNING or (condition in lost and not container_runs)
    reached = {"running": Condition.RUNNING, "paused": Condition.PAUSED, "absent": Condition.ABSENT}
    return condition is reached[wanted]


def _ladder(condition: Condition, wanted: str) -> Sequence[Step]:
    if wanted == "absent":
        return (Step.DELETE, Step.REMOVE_REMAINS)
    if wanted == "stopped":
        return _TO_STOPPED.get(condition, (Step.STOP, Step.STOP_CONTAINER))
    if wanted == "paused" and condition in (
        Condition.RUNNING,
        Condition.WORKLOADS_FROZEN,
        Condition.KUBELET_DOWN,
        Condition.KUBECONFIG_WRONG,
    ):
        return (Step.PAUSE, *_TO_RUNNING.get(condition, ()))
    return _TO_RUNNING[condition]
