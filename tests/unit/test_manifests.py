"""Policies that every object of the Kubernetes targets must keep, read from what is rendered."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

_ROOT = Path(__file__).parents[2]
_UNITS = {"m": 0.001, "Mi": 2**20, "Gi": 2**30}
_KUBERNETES = "1.34"
_OPERATORS = ("monitoring.coreos.com",)  # their kinds have schemas of their own
_SCALED = ("data-collector", "bitcoin-forecast-app", "web-app")


def render(folder: Path, **variables: Any) -> list[dict[str, Any]]:
    target = folder / "objects.json"
    playbook = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [playbook, "tests/support/manifests/render.yml", "-e",
         json.dumps({"render_into": str(target), **variables})],
        cwd=_ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_CONFIG": str(_ROOT / "ansible.cfg"),
             "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    found: list[dict[str, Any]] = json.loads(target.read_text())
    return found


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return render(tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    sizes = {"kubernetes_brokers": 3, "kubernetes_zookeepers": 3, "render_feed": "live"}
    sizes |= {"render_kafka_ui": "ghcr.io/kafbat/kafka-ui"}
    ports = {"zookeeper_port": 40001, "kafka_port": 40002}  # of the user's machine, not of the pods
    return render(tmp_path_factory.mktemp("three"), **sizes, **ports)


def named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for each in objects:
        if each["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield each, each["spec"]["template"]["spec"]


def containers(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the containers of all pods, of those that stand alone too."""
    alone = [each["spec"] for each in objects if each["kind"] == "Pod"]
    for spec in [*alone, *(spec for _, spec in pods(objects))]:
        yield from [*spec.get("initContainers", []), *spec["containers"]]


def settings_of(objects: list[dict[str, Any]], service: str) -> dict[str, str]:
    """Return the plain settings of a service's container."""
    spec = named(objects, "Deployment", service)["spec"]["template"]["spec"]
    return {e["name"]: e["value"] for e in spec["containers"][0]["env"] if "value" in e}


def amount(text: str) -> float:
    unit = next((unit for unit in _UNITS if str(text).endswith(unit)), "")
    return float(str(text).removesuffix(unit)) * _UNITS.get(unit, 1.0)


@pytest.mark.parametrize("fixture", ["objects", "three"])
def test_every_object_is_what_the_api_takes(request: pytest.FixtureRequest, fixture: str) -> None:
    for each in request.getfixturevalue(fixture):
        if each["apiVersion"].partition("/")[0] not in _OPERATORS:
            kubernetes_validate.validate(each, _KUBERNETES, strict=True)


def test_every_pod_is_restricted(objects: list[dict[str, Any]]) -> None:
    assert named(objects, "Namespace", "bitcoin-prediction")["metadata"]["labels"][
        "pod-security.kubernetes.io/enforce"
    ] == "restricted"  # fmt: skip
    alone = [each["spec"] for each in objects if each["kind"] == "Pod"]
    assert len(alone) == 1
    for spec in [*alone, *(spec for _, spec in pods(objects))]:
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
    for container in containers(objects):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]) == {"requests", "limits"}


def test_no_secret_stands_in_a_command_line(objects: list[dict[str, Any]]) -> None:
    read = 0
    for container in containers(objects):
        words = [*container.get("command", []), *container.get("args", [])]
        secret = [
            entry["name"]
            for entry in container.get("env", [])
            if "secretKeyRef" in entry.get("valueFrom", {})
        ]
        read += len(secret)
        assert not [name for name in secret if f"$({name})" in " ".join(words)]
    assert read


def test_what_an_autoscaler_owns_has_no_replicas_of_ours(objects: list[dict[str, Any]]) -> None:
    scaled = {o["metadata"]["name"] for o in objects if o["kind"] == "HorizontalPodAutoscaler"}
    assert scaled == set(_SCALED)
    for name in _SCALED:
        spec = named(objects, "Deployment", name)["spec"]
        assert "replicas" not in spec
        assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_probes_ask_what_the_services_answer(objects: list[dict[str, Any]]) -> None:
    for name in _SCALED:
        spec = named(objects, "Deployment", name)["spec"]["template"]["spec"]
        container = spec["containers"][0]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        settings = settings_of(objects, name)
        assert str(ports["ops"]) == settings["OPS_PORT"]
        assert settings["OPS_HOST"] == "0.0.0.0"
        assert "LISTEN_FD" not in settings
        assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "ops"}
        assert container["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "ops"}


@pytest.mark.parametrize("fixture", ["objects", "three"])
@pytest.mark.parametrize("kind", ["requests", "limits"])
@pytest.mark.parametrize("what", ["cpu", "memory"])
def test_the_quota_leaves_room_for_a_surge_pod_and_one_that_ends(
    request: pytest.FixtureRequest, fixture: str, kind: str, what: str
) -> None:
    objects = request.getfixturevalue(fixture)
    most = {
        o["metadata"]["name"]: o["spec"]["maxReplicas"]
        for o in objects
        if o["kind"] == "HorizontalPodAutoscaler"
    }
    fixed = {
        o["metadata"]["name"]: o["spec"]["replicas"] for o in objects if o["kind"] == "StatefulSet"
    }
    needs = {
        o["metadata"]["name"]: amount(spec["containers"][0]["resources"][kind][what])
        for o, spec in pods(objects)
    }
    total = sum((most | fixed).get(name, 1) * need for name, need in needs.items())
    surge = max(needs[name] for name in most)
    hard = named(objects, "ResourceQuota", "platform")["spec"]["hard"]
    assert total + 2 * surge <= amount(hard[f"{kind}.{what}"])


def test_the_quota_fits_into_a_node_of_4_cpus_and_6_gb(objects: list[dict[str, Any]]) -> None:
    hard = named(objects, "ResourceQuota", "platform")["spec"]["hard"]
    assert amount(hard["requests.cpu"]) <= 4 - 0.85  # the system's own pods
    assert amount(hard["requests.memory"]) <= 6 * 2**30 - 600 * 2**20


def test_beside_engines_of_the_user_none_are_made(tmp_path: Path) -> None:
    engines = {"kubernetes_external_kafka": "k.example:9092", "kubernetes_external_database": True}
    found = render(tmp_path, **engines)
    assert not [each["metadata"]["name"] for each in found if each["kind"] == "StatefulSet"]
    environment = named(found, "Deployment", "data-collector")["spec"]["template"]["spec"][
        "containers"
    ][0]["env"]
    assert {"name": "KAFKA_BOOTSTRAP_SERVERS", "value": "k.example:9092"} in environment


@pytest.mark.parametrize(("fixture", "factor", "insync"), [("objects", 1, 1), ("three", 3, 2)])
def test_replication_follows_the_number_of_brokers(
    request: pytest.FixtureRequest, fixture: str, factor: int, insync: int
) -> None:
    found = request.getfixturevalue(fixture)
    properties = named(found, "ConfigMap", "kafka")["data"]["server.properties"]
    assert named(found, "StatefulSet", "kafka")["spec"]["replicas"] == factor
    assert f"default.replication.factor={factor}\n" in properties
    assert f"min.insync.replicas={insync}\n" in properties
    job = next(o for o in found if o["kind"] == "Job")
    script = job["spec"]["template"]["spec"]["containers"][0]["command"][-1]
    assert f"--replication-factor {factor} " in script
    assert f"min.insync.replicas={insync}" in script


def test_an_ensemble_knows_its_members(three: list[dict[str, Any]]) -> None:
    properties = named(three, "ConfigMap", "zookeeper")["data"]["zookeeper.properties"]
    assert "server.3=zookeeper-2.zookeeper:2888:3888" in properties
    assert "clientPort=2181\n" in properties
    bootstrap = settings_of(three, "web-app")["KAFKA_BOOTSTRAP_SERVERS"]
    assert bootstrap == "kafka-0.kafka:9092,kafka-1.kafka:9092,kafka-2.kafka:9092"
    assert "4000" not in json.dumps([o for o in three if o["kind"] != "ConfigMap"])


def test_only_the_arrows_are_open_and_only_live_data_leave_the_cluster(
    objects: list[dict[str, Any]], three: list[dict[str, Any]]
) -> None:
    assert named(objects, "NetworkPolicy", "deny-by-default")["spec"]["podSelector"] == {}
    for found, live in ((objects, False), (three, True)):
        names = {o["metadata"]["name"] for o in found if o["kind"] == "NetworkPolicy"}
        assert ("data-collector-to-the-internet" in names) is live


def test_each_policy_and_budget_selects_pods_that_exist(objects: list[dict[str, Any]]) -> None:
    labels = {o["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
              for o, _ in pods(objects)}  # fmt: skip
    labels |= {o["metadata"]["name"] for o in objects if o["kind"] == "Pod"}
    for each in objects:
        if each["kind"] == "NetworkPolicy":
            for term in each["spec"]["podSelector"].get("matchExpressions", []):
                assert set(term["values"]) <= labels
        if each["kind"] == "PodDisruptionBudget":
            wanted = each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]
            assert wanted in labels


def test_no_object_holds_a_password(objects: list[dict[str, Any]]) -> None:
    assert not [o for o in objects if o["kind"] == "Secret"]
    assert "postgresql+" not in json.dumps(objects)


def test_who_reaches_the_kafka_ui_of_others_cannot_change_anything(
    three: list[dict[str, Any]],
) -> None:
    told = settings_of(three, "kafka-ui")
    assert told["KAFKA_CLUSTERS_0_READONLY"] == "true"
    assert told["DYNAMIC_CONFIG_ENABLED"] == "false"


def test_the_token_of_the_page_is_a_secret_that_may_be_missing(
    objects: list[dict[str, Any]],
) -> None:
    spec = named(objects, "Deployment", "web-app")["spec"]["template"]["spec"]
    (token,) = [volume for volume in spec["volumes"] if volume["name"] == "token"]
    assert token["secret"]["optional"] is True
    (mount,) = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "token"]
    told = settings_of(objects, "web-app")
    assert told["WEB_TOKEN_FILE"] == f"{mount['mountPath']}/token"
    assert "WEB_TOKEN" not in told


def test_prometheus_may_reach_the_ops_ports_and_nothing_else(
    objects: list[dict[str, Any]],
) -> None:
    monitor = named(objects, "PodMonitor", "bitcoin-prediction")
    watched = set(monitor["spec"]["selector"]["matchExpressions"][0]["values"])
    assert {"data-collector", "bitcoin-forecast-app", "web-app"} <= watched
    for name in watched:
        pod = named(objects, "Deployment", name)["spec"]["template"]
        ports = {
            port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]
        }
        assert ports["ops"] == int(pod["metadata"]["annotations"]["prometheus.io/port"])
    policy = named(objects, "NetworkPolicy", "prometheus-to-ops")["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["ingress"][0]["ports"] == [{"port": 5061, "protocol": "TCP"}]
    rules = named(objects, "PrometheusRule", "bitcoin-prediction")["spec"]["groups"]
    assert sum(len(group["rules"]) for group in rules) > 15
    board = named(objects, "ConfigMap", "grafana-dashboard")
    assert json.loads(board["data"]["bitcoin-prediction.json"])["uid"] == "bitcoin-prediction"


def test_without_the_operator_its_kinds_are_not_used(tmp_path: Path) -> None:
    kinds = {each["kind"] for each in render(tmp_path, render_operator=False)}
    assert not kinds & {"PodMonitor", "PrometheusRule"}
