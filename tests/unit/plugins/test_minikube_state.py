"""Every state times every wanted state: where it ends, and what may never happen on the way."""

import itertools

import pytest
from plugins.module_utils.minikube_state import (
    Condition,
    Observation,
    Step,
    classify,
    decide,
)
from tests.support.fake_minikube import MOVES, STATUS

WANTED = ("running", "paused", "stopped", "absent")
_NAMES = ("Host", "Kubelet", "APIServer", "Kubeconfig")
_COMMANDS = {
    Step.CREATE: ["start"],
    Step.START: ["start"],
    Step.START_BRIEFLY: ["start"],
    Step.UNPAUSE: ["unpause"],
    Step.THAW_NODE: ["docker unpause"],
    Step.FIX_KUBECONFIG: ["update-context"],
    Step.FIX_NETWORK: ["docker network connect"],
    Step.WAIT: [],
    Step.RESTART_KUBELET: ["restart-kubelet"],
    Step.REBUILD_CONTROL_PLANE: ["rebuild"],
    Step.PAUSE: ["pause"],
    Step.STOP: ["stop"],
    Step.STOP_CONTAINER: ["docker stop"],
    Step.DELETE: ["delete"],
    Step.REMOVE_REMAINS: ["docker rm"],
    Step.RECREATE: ["delete", "docker rm", "start"],
}
_HEALING = ("restart-kubelet", "rebuild", "docker network connect")


def observation(state: str) -> Observation:
    code, parts, container, volume = STATUS[state]
    return Observation(
        docker=state != "docker-down",
        status_code=None if code == 124 else code,
        status=dict(zip(_NAMES, parts, strict=True)) if parts else None,
        container=container,
        volume=volume,
        network=state != "network-removed",
        frozen=1 if state == "frozen" else 0,
    )


def walk(
    state: str, wanted: str, *, allow_recreate: bool = False, heals: bool = True
) -> tuple[str, list[Step], str]:
    """Follow the decisions through the recorded transitions: (last state, steps, refusal)."""
    tried: list[tuple[Condition, Step]] = []
    while len(tried) < 20:
        seen = observation(state)
        condition = classify(seen)
        decision = decide(
            condition,
            wanted,
            tried,
            allow_recreate=allow_recreate,
            container_runs=seen.container in ("running", "paused"),
        )
        if decision.step is None:
            return state, [step for _, step in tried], decision.refusal
        tried.append((condition, decision.step))
        for command in _COMMANDS[decision.step]:
            if heals or command not in _HEALING:
                state = MOVES.get((state, command), (0, state))[1]
    raise AssertionError(f"no end from {state}: {tried}")


@pytest.mark.parametrize(("state", "wanted"), list(itertools.product(STATUS, WANTED)))
def test_every_state_reaches_the_wanted_one_or_is_refused_with_its_data_kept(
    state: str, wanted: str
) -> None:
    last, steps, refusal = walk(state, wanted)

    if wanted == "absent" and state != "docker-down":
        assert (last, refusal) == ("absent", "")
        return
    assert not {Step.DELETE, Step.RECREATE, Step.REMOVE_REMAINS} & set(steps)
    if refusal:
        assert state in {
            "docker-down", "absent", "profile-dir-gone", "profile-broken-json", "remains",
            "broken-and-stopped", "machine-gone-and-stopped",
        }  # fmt: skip
        assert STATUS[last][3] == STATUS[state][3], "the volume must stay"
    elif wanted == "stopped":
        assert STATUS[last][2] in (None, "exited")
    else:
        assert last == wanted


@pytest.mark.parametrize("state", [state for state in STATUS if state != "docker-down"])
@pytest.mark.parametrize("heals", [True, False])
def test_with_permission_every_state_comes_back_to_running(state: str, heals: bool) -> None:
    assert walk(state, "running", allow_recreate=True, heals=heals)[::2] == ("running", "")


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        ("running", []),
        ("paused", [Step.UNPAUSE]),
        ("frozen", [Step.UNPAUSE]),
        ("node-container-paused", [Step.THAW_NODE]),
        ("kubeconfig-gone", [Step.FIX_KUBECONFIG]),
        ("kubelet-stopped", [Step.RESTART_KUBELET]),
        ("stopped", [Step.START]),
        ("network-removed", [Step.FIX_NETWORK, Step.START]),
        ("apiserver-gone", [Step.WAIT, Step.REBUILD_CONTROL_PLANE]),
        ("removed", [Step.START_BRIEFLY, Step.WAIT, Step.REBUILD_CONTROL_PLANE]),
        ("removed-volume", [Step.CREATE]),
        ("absent", [Step.CREATE]),
    ],
)
def test_the_least_destructive_step_comes_first(state: str, steps: list[Step]) -> None:
    assert walk(state, "running")[:2] == ("running", steps)


def test_a_new_container_is_given_its_control_plane_before_another_start() -> None:
    tried = [(Condition.CONTAINER_LOST, Step.START_BRIEFLY)]
    assert decide(Condition.NODE_DOWN, "running", tried).step is Step.REBUILD_CONTROL_PLANE
    assert decide(Condition.NODE_DOWN, "running").step is Step.START


def test_a_container_that_takes_long_is_waited_for_before_anything_is_given_up() -> None:
    condition = Condition.CONTAINER_LOST
    tried = [(condition, Step.START_BRIEFLY)]
    assert decide(condition, "running", tried).step is Step.START
    assert (
        "only deleting it"
        in decide(condition, "running", [*tried, (condition, Step.START)]).refusal
    )


def test_a_running_cluster_is_never_started_again() -> None:
    # `minikube start` on a running cluster restarts every container in it.
    assert decide(Condition.RUNNING, "running").done


def test_what_cannot_be_healed_is_refused_with_the_reason() -> None:
    last, steps, refusal = walk("apiserver-gone", "running", heals=False)
    assert last == "apiserver-gone"
    assert "only deleting it and its data" in refusal
    assert steps.count(Step.START) == 2  # as it was, and after a stop


def test_expired_certificates_are_renewed_by_a_start() -> None:
    seen = Observation(
        docker=True,
        status_code=2,
        status=dict(zip(_NAMES, ("Running", "Running", "Stopped", "Configured"), strict=True)),
        container="running",
        volume=True,
        certificates_expired=True,
    )
    assert classify(seen) is Condition.CERTIFICATES_EXPIRED
    assert decide(classify(seen), "running").step is Step.START


def test_null_from_status_is_not_taken_for_docker_being_down() -> None:
    assert classify(observation("docker-down")) is Condition.DOCKER_DOWN
    assert classify(observation("removed")) is Condition.CONTAINER_LOST
    assert classify(observation("machine-dir-gone")) is Condition.MACHINE_LOST
