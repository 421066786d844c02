"""What is wrong with a cluster is said before anything is made; most of it is tried without one."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.cluster_platform import why_no_cluster
from tests.e2e.local_platform import LocalPlatform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NOWHERE = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "nowhere",
    "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "nobody", "user": {"token": "none"}}],
    "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
}
MISTAKES: list[tuple[dict[str, object], list[str]]] = [
    ({"kubeconfig": "/no/such"}, ["there is no /no/such"]),
    ({"kube_context": "elsewhere"}, ["no context 'elsewhere'; it has: nowhere"]),
    ({}, ["https://127.0.0.1:1", "does not answer", "-e kube_context="]),
    ({"registry": "Not a registry"}, ["registry=", "-e registry=registry.example.com/bitcoin"]),
    ({"kafka_brokers": 2}, ["choose 1 or 3"]),
    ({"database_url": "mysql://u:hidden@h/d"}, ["not shown", "postgresql://"]),
    ({"market_data": "replay", "replay_file": __file__}, ["cannot see", "-e target=local"]),
    ({"target": "local"}, ["registry: only for", "-e target=cluster"]),
]


@pytest.fixture
def user(checkout: Path) -> Iterator[LocalPlatform]:
    with tempfile.TemporaryDirectory(prefix="bp") as home:
        Path(home, "config").write_text(yaml.safe_dump(NOWHERE))
        yield LocalPlatform(checkout, Path(home), instance="mistaken")


@pytest.mark.parametrize(("variables", "words"), MISTAKES)
def test_a_mistake_about_a_cluster_is_explained_once(
    user: LocalPlatform, variables: dict[str, object], words: list[str]
) -> None:
    told = {"target": "cluster", "kubeconfig": user.data_home / "config", "registry": "host/path"}
    run = user.run("build.yml", **{"market_data": "simulated", **told, **variables})
    assert run.code != 0, run.output
    for word in words:
        assert word in run.output, run.output
    assert "Traceback" not in run.output
    assert "hidden" not in run.output
    assert not user.directory.exists()


def test_a_cluster_without_a_registry_is_not_enough(user: LocalPlatform) -> None:
    run = user.run("build.yml", target="cluster", market_data="simulated")
    assert run.code != 0
    assert "Add: -e registry=" in run.output


@pytest.mark.skipif(bool(why_no_cluster()), reason=why_no_cluster())
def test_a_namespace_of_someone_else_is_left_alone(user: LocalPlatform) -> None:
    from kubernetes import client, config

    make: Any = config.new_client_from_config  # it has no types
    core: Any = client.CoreV1Api(make())
    name = "bitcoin-prediction-mistaken"
    core.create_namespace({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        run = user.run(
            "build.yml",
            target="cluster",
            kubeconfig=os.environ["KUBECONFIG"],
            registry="127.0.0.1:9/x",
            market_data="simulated",
        )
        assert run.code != 0
        assert "was not made by this project" in run.output
        assert (
            core.list_namespaced_config_map(name, label_selector="app.kubernetes.io/part-of").items
            == []
        )
    finally:
        core.delete_namespace(name)
