"""What an instance is on a cluster, and what forbids building it."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from plugins.filter import kubernetes as asked
from plugins.module_utils import cluster_state as state
from plugins.module_utils.kube_api import Kube, KubeError, chosen_context
from plugins.modules import workloads_rolled_back as back
from tests.support.fake_api_server import kubeconfig_of

PART_OF = "bitcoin-prediction"


def workload(kind: str, name: str, replicas: int, **annotations: str) -> dict[str, Any]:
    metadata = {"name": name, "annotations": annotations}
    return {"kind": kind, "metadata": metadata, "spec": {"replicas": replicas}}


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **more.pop("metadata", {})}, **more}


@pytest.mark.parametrize(
    ("kafka", "web", "shut_down", "mode"),
    [
        (1, 1, "", "running"),
        (1, 0, "", "services"),
        (0, 0, "stop", "stopped"),
        (0, 0, "pause", "paused"),
        (0, 1, "", "damaged"),
    ],
)
def test_the_mode_follows_from_the_replicas(
    kafka: int, web: int, shut_down: str, mode: str
) -> None:
    found = [workload("StatefulSet", "kafka", kafka), workload("Deployment", "web-app", web)]
    assert state.mode_of(found, shut_down) == mode


def test_an_empty_namespace_holds_no_instance() -> None:
    assert state.mode_of([], "") == "absent"


def test_replicas_come_back_as_they_were_and_never_none() -> None:
    asleep = workload("Deployment", "web-app", 0, **{state.REPLICAS: "3"})
    assert state.replicas_before(asleep) == 3
    assert state.replicas_before(workload("Deployment", "web-app", 0)) == 1


def test_a_stranger_s_namespace_is_left_alone() -> None:
    def fault(namespace: dict[str, Any] | None) -> str:
        return state.ownership_fault(namespace, "space", PART_OF, "default")

    label, owner = "app.kubernetes.io/part-of", "bitcoin-prediction/instance"
    assert fault(None) == ""
    assert fault(named("space", metadata={"labels": {label: PART_OF}})) == ""
    assert "-e instance=NAME" in fault(named("space"))
    other = {"labels": {label: PART_OF, owner: "demo2"}}
    assert "-e instance=demo2" in fault(named("space", metadata=other))
    assert "being deleted" in fault(named("space", status={"phase": "Terminating"}))


def test_claims_need_a_storage_class() -> None:
    default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    assert state.storage_fault([named("fast", metadata=default)], "") == ""
    assert state.storage_fault([named("slow")], "slow") == ""
    assert "-e storage_class=slow" in state.storage_fault([named("slow")], "")
    assert "it has: none" in state.storage_fault([], "")
    assert "no storage class 'fats'" in state.storage_fault([named("fast")], "fats")


def test_images_must_fit_the_nodes() -> None:
    arm = named("node", status={"nodeInfo": {"architecture": "arm64"}})
    assert "arm64" in state.architecture_fault([arm], "x86_64")
    assert state.architecture_fault([arm], "aarch64") == ""
    assert state.architecture_fault([], "x86_64") == ""


def test_nodes_and_quotas_that_are_too_small_are_named() -> None:
    needs = {"requests.cpu": 2.0, "requests.memory": 2**30, "limits.cpu": 4.0}
    node = named("node", status={"allocatable": {"cpu": "1900m", "memory": "8Gi"}})
    alone = {"cpu": 0.0, "memory": 0.0}
    assert "offer 1.9 of cpu" in state.room_fault([node], needs, alone)
    assert state.room_fault([node, node], needs, alone) == ""
    asked = {"containers": [{"resources": {"requests": {"cpu": "950m"}}}, {}]}
    others = [
        {"metadata": {"namespace": "kube-system"}, "spec": asked, "status": {"phase": "Running"}},
        {"metadata": {"namespace": "kube-system"}, "spec": asked, "status": {"phase": "Failed"}},
        {"metadata": {"namespace": "space"}, "spec": asked, "status": {"phase": "Running"}},
    ]
    held = state.taken([*others, others[0], others[0]], "space")
    assert held == {"cpu": pytest.approx(2.85), "memory": 0.0}
    said = state.room_fault([node, node], needs, held)
    assert "the pods of others request 2.85 of that, and 2 are needed" in said
    tight = named("team", spec={"hard": {"cpu": "1", "limits.cpu": "8"}})
    (fault,) = state.quota_faults(
        [tight, named("platform", spec=tight["spec"])], needs, "platform", "space"
    )
    assert "the quota team leaves no room" in fault
    assert "cpu=1 (2000m needed)" in fault
    patch = """kubectl --namespace space patch resourcequota team --patch '{"spec":{"hard":"""
    assert patch + """{"cpu":"2000m"}}}'""" in fault
    exact = named("team", spec={"hard": {"requests.memory": "1Gi", "limits.cpu": "4"}})
    assert state.quota_faults([exact], needs, "platform", "space") == []


def test_missing_permissions_are_named_by_verb_and_resource() -> None:
    answers = {("apps", "deployments", "create"): False, ("", "pods/exec", "create"): False,
               ("", "pods", "list"): True}  # fmt: skip
    said = state.denied(answers, "space")
    assert "create on deployments.apps" in said
    assert "create on pods/exec" in said
    assert "list" not in said.partition(". Ask")[0]
    assert state.denied({("", "pods", "list"): True}, "space") == ""


def test_a_wrong_kubeconfig_or_context_says_what_there_is(tmp_path: Path) -> None:
    file = tmp_path / "config"
    with pytest.raises(KubeError, match="there is no kubeconfig"):
        chosen_context(str(file), "")
    file.write_text("{contexts: [{name: one}, {name: two}], current-context: one}")
    assert chosen_context(str(file), "") == "one"
    assert chosen_context(str(file), "two") == "two"
    with pytest.raises(KubeError, match="no context 'three'; it has: one, two") as raised:
        chosen_context(str(file), "three")
    assert "Type, for example: -e kube_context=one" in str(raised.value)
    file.write_text("{contexts: [{name: one}], current-context: gone}")
    with pytest.raises(KubeError, match="no context 'gone'; it has: one"):
        chosen_context(str(file), "")
    for unreadable in ("not: [a kubeconfig", "a sentence"):
        file.write_text(unreadable)
        with pytest.raises(KubeError, match="cannot be read"):
            chosen_context(str(file), "")


@pytest.mark.parametrize("current", ["", None])
def test_where_no_context_is_current_one_may_be_named(tmp_path: Path, current: str | None) -> None:
    file = tmp_path / "config"
    told = kubeconfig_of("https://127.0.0.1:1") | {"current-context": current}
    file.write_text(yaml.safe_dump(told))
    assert chosen_context(str(file), "fake") == "fake"
    assert Kube(str(file), "fake").server == "https://127.0.0.1:1"
    with pytest.raises(KubeError, match=r"choose a context .*it has: fake"):
        chosen_context(str(file), "")


def test_of_several_files_the_first_current_context_counts(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one", "two", "three")]
    files[0].write_text("{contexts: [{name: one}], current-context: ''}")
    files[1].write_text("{contexts: [{name: two}], current-context: two}")
    files[2].write_text("{contexts: [{name: three}], current-context: three}")
    together = os.pathsep.join(map(str, [tmp_path / "none", *files]))
    assert chosen_context(together, "") == "two"
    assert chosen_context(together, "three") == "three"


def test_needs_are_those_of_all_replicas_and_one_surge_pod() -> None:
    resources = {
        "zookeeper": {"cpu": ["100m", "1"], "memory": ["128Mi", "1Gi"]},
        "kafka-topics": {"cpu": ["100m", "1"], "memory": ["128Mi", "1Gi"]},
        "web-app": {"cpu": ["200m", "1"], "memory": ["256Mi", "1Gi"]},
    }
    counts, scaled = {"zookeeper": 3, "web-app": 1}, {"web-app": {"min": 1, "max": 3}}
    most = asked.kubernetes_needs(resources, counts, scaled, ["web-app"], "max")
    assert most["requests.cpu"] == pytest.approx(0.3 + 0.6 + 0.2 + 0.1)
    assert most["limits.memory"] == 8 * 2**30
    least = {"requests.cpu": "1", "limits.memory": "10Gi", "pods": 9}
    quota = asked.kubernetes_quota(least, most, asked.kubernetes_largest(resources, ["web-app"]))
    assert quota == {"requests.cpu": "1400m", "limits.memory": "10Gi", "pods": "9"}


def test_kafka_that_lost_messages_is_noticed() -> None:
    known = {"prices-0": 10, "prices-1": 7}
    assert asked.offsets_behind(known, {"prices-0": 12, "prices-1": 7}) == []
    (said,) = asked.offsets_behind(known, {"prices-0": 9, "prices-1": 8})
    assert said == "prices-0 ends at 9 and ended at 10"


def replica_set(revision: int, image: str, ready: int) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"web-app-{revision}",
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "ownerReferences": [{"uid": "u"}],
        },
        "spec": {
            "template": {
                "metadata": {"labels": {"app": "web-app", "pod-template-hash": "x"}},
                "spec": {"containers": [{"image": image}]},
            }
        },
        "status": {"readyReplicas": ready},
    }


def test_a_version_that_failed_goes_back_to_the_newest_that_serves() -> None:
    rolling: dict[str, Any] = {
        "kind": "Deployment",
        "metadata": {"uid": "u", "generation": 1},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 1, "readyReplicas": 1, "updatedReplicas": 0},
    }
    sets = [replica_set(1, "older", 0), replica_set(2, "good", 1), replica_set(4, "broken", 0)]
    template = back.serving_template(rolling, sets)
    assert template is not None
    assert template["spec"]["containers"][0]["image"] == "good"
    assert template["metadata"]["labels"] == {"app": "web-app"}
    assert back.serving_template(rolling, sets[-1:]) is None
    done = {**rolling, "status": {**rolling["status"], "updatedReplicas": 1, "replicas": 1}}
    assert back.serving_template(done, sets) is None
