"""What the steps run in the node, and what a cluster was made with."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from plugins.module_utils.minikube_commands import Cluster, commands, made_with
from plugins.module_utils.minikube_state import Step


def profile(home: Path, nodes: int = 1, **kubernetes: Any) -> None:
    folder = home / ".minikube/profiles/minikube"
    folder.mkdir(parents=True, exist_ok=True)
    made = {"Driver": "docker", "CPUs": 2, "Memory": 4608, "KubernetesConfig": kubernetes}
    (folder / "config.json").write_text(json.dumps({**made, "Nodes": [{}] * nodes}))


@pytest.mark.parametrize(
    ("kubernetes", "nodes", "bridge"),
    [
        ({"ContainerRuntime": "docker", "CNI": ""}, 1, True),
        ({"ContainerRuntime": "docker", "CNI": "auto"}, 1, True),
        ({"ContainerRuntime": "containerd", "CNI": "bridge"}, 1, True),
        ({"ContainerRuntime": "containerd", "CNI": ""}, 1, False),  # kindnet
        ({"ContainerRuntime": "docker", "CNI": "calico"}, 1, False),
        ({"ContainerRuntime": "docker", "CNI": ""}, 2, False),  # kindnet
    ],
)
def test_whose_the_pods_network_is_stands_in_the_profile(
    kubernetes: dict[str, str],
    nodes: int,
    bridge: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINIKUBE_HOME", str(tmp_path))
    profile(tmp_path, nodes, **kubernetes)
    assert made_with("minikube").bridge is bridge


def rebuild(folder: Path, *, bridge: bool) -> list[Path]:
    """Run what rebuilds a node, in ``folder`` instead of its root; return the networks there."""
    binaries = folder / "var/lib/minikube/binaries/v1.34.0"
    binaries.mkdir(parents=True, exist_ok=True)
    (binaries / "kubeadm").write_text("#!/bin/sh\n")
    (binaries / "kubeadm").chmod(0o755)
    config = folder / "var/tmp/minikube/kubeadm.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('networking:\n  dnsDomain: cluster.local\n  podSubnet: "10.244.0.0/16"\n')
    cluster = Cluster("minikube", 2, 4608, "docker", bridge=bridge)
    ((argv, _),) = commands(Step.REBUILD_CONTROL_PLANE, cluster)
    script = argv[-1]
    for place in ("/var/lib/minikube", "/var/tmp/minikube", "/etc/kubernetes", "/etc/cni"):
        script = script.replace(place, f"{folder}{place}")
    subprocess.run(["sh", "-ec", script], check=True)
    return list(folder.glob("etc/cni/net.d/*"))


def test_a_new_container_gets_the_pods_network_that_the_old_one_held(tmp_path: Path) -> None:
    assert rebuild(tmp_path, bridge=False) == []
    (made,) = rebuild(tmp_path, bridge=True)
    assert made.name == "1-k8s.conflist"
    bridge, *others = json.loads(made.read_text())["plugins"]
    assert bridge["ipam"]["subnet"] == "10.244.0.0/16"
    assert [each["type"] for each in others] == ["portmap", "firewall"]


def test_a_network_that_is_there_is_left_alone(tmp_path: Path) -> None:
    there = tmp_path / "etc/cni/net.d/10-calico.conflist"
    there.parent.mkdir(parents=True)
    there.write_text("{}")
    assert rebuild(tmp_path, bridge=True) == [there]
