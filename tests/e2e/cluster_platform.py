"""The platform on a Kubernetes cluster, met by the same commands and read by the dynamic client.

Where ``KUBECONFIG`` names a cluster and ``E2E_CLUSTER_VARIABLES`` a file of variables for
``build.yml`` (at least the registry), the contract runs there too.
"""

import functools
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.e2e.local_platform import TOPICS, LocalPlatform

__all__ = ["ClusterPlatform", "why_no_cluster"]

_NAME = "app.kubernetes.io/name"
_EXEC_S = 60
_OFFSET = re.compile(r"^([\w.-]+):\d+:(\d+)$", re.MULTILINE)
_ENDS = (
    "KAFKA_HEAP_OPTS='-Xmx96m -XX:TieredStopAtLevel=1' "
    "/opt/kafka/bin/kafka-get-offsets.sh --bootstrap-server localhost:9092"
)
# Asks a page as often as a busy user would, on a new connection each time; prints what failed.
_LOAD = """
import json, sys, time, urllib.request
url, seconds, rate = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
answered, failures, start = 0, [], time.monotonic()
while time.monotonic() - start < seconds:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            answer.read()
        answered += 1
    except Exception as error:
        failures.append(repr(error))
    time.sleep(1 / rate)
print(json.dumps({"answered": answered, "failures": failures}))
"""


def why_no_cluster() -> str:
    """Return why the contract is not tested on a cluster; empty when it is."""
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG names no cluster: the contract is tested on the local target only"
    if not os.environ.get("E2E_CLUSTER_VARIABLES"):
        return "E2E_CLUSTER_VARIABLES names no file of variables (registry: ...) for the cluster"
    return ""


@functools.cache
def _api() -> Any:
    """Return the one client of this process: a client that is dropped leaves sockets open."""
    from kubernetes import config

    make: Any = config.new_client_from_config  # it has no types
    return make()


@functools.cache
def _dynamic() -> Any:
    """Return openshift's dynamic client."""
    from openshift.dynamic import DynamicClient

    return DynamicClient(_api())


@dataclass
class ClusterPlatform(LocalPlatform):
    """An instance on the `cluster` target; pods stand where processes stood."""

    target = "cluster"

    @property
    def namespace(self) -> str:
        """Return the instance's namespace."""
        return f"bitcoin-prediction-{self.instance}"

    def command(self, playbook: str, *arguments: str, **variables: object) -> list[str]:
        """Return the command line; what a build is told beyond the record is told always."""
        file = Path(os.environ["E2E_CLUSTER_VARIABLES"])
        told = yaml.safe_load(file.read_text())
        if playbook != "build.yml":  # recorded by the build
            told = {k: v for k, v in told.items() if k.startswith(("kubernetes_", "images_"))}
        known = {"instance": self.instance, "target": self.target, **variables}
        return [
            str(Path(sys.executable).parent / "ansible-playbook"),
            playbook,
            *arguments,
            "-e",
            json.dumps({**told, **known}),
        ]

    def objects(self, kind: str, api_version: str = "v1") -> list[Any]:
        """Return the objects of a kind in the namespace, read by openshift's dynamic client."""
        found = _dynamic().resources.get(api_version=api_version, kind=kind)
        found = found.get(namespace=self.namespace)
        items: list[Any] = [item.to_dict() for item in found.items]
        return items

    def workloads(self) -> dict[str, int]:
        """Return wanted replicas by ``Kind/name``."""
        return {
            f"{kind}/{item['metadata']['name']}": item["spec"]["replicas"]
            for kind in ("Deployment", "StatefulSet")
            for item in self.objects(kind, "apps/v1")
        }

    def process_names(self) -> dict[Any, str]:
        """Return the service of each pod that is not ending, by its unique id."""
        return {
            pod["metadata"]["uid"]: pod["metadata"]["labels"][_NAME]
            for pod in self.objects("Pod")
            if not pod["metadata"].get("deletionTimestamp")
            and pod["status"].get("phase") in ("Running", "Pending")
        }

    def untouched(self, besides: str = "") -> dict[Any, Any]:
        """Return each workload's template; autoscalers may change how many pods are made of it."""
        return {
            item["metadata"]["name"]: item["spec"]["template"]
            for kind in ("Deployment", "StatefulSet")
            for item in self.objects(kind, "apps/v1")
            if item["metadata"]["name"] != besides
        }

    def require_shut(self, mode: str, before: dict[Any, str]) -> None:
        """Assert that a shutdown went as far as ``mode`` says, and no further."""
        left = {name.partition("/")[2] for name, count in self.workloads().items() if count}
        assert set(self.process_names().values()) == left
        assert left == ({"zookeeper", "kafka", "database"} if mode == "services" else set())
        assert before

    def require_back(self, mode: str, before: dict[Any, str], replicas: dict[str, int]) -> None:
        """Assert that a startup brought back as much as there was; autoscalers may add to it."""
        now, scaled = self.workloads(), self.autoscaled()
        assert now.keys() == replicas.keys(), (mode, before)
        for name, count in now.items():
            more = name.partition("/")[2] in scaled and count > replicas[name]
            assert count == replicas[name] or more, f"{name} has {count} of {replicas[name]}"

    def execute(self, pod: str, *command: str) -> str:
        """Return what a command prints in a pod."""
        from kubernetes.stream import stream

        channel: Any = stream(
            self._core().connect_get_namespaced_pod_exec,
            pod,
            self.namespace,
            command=list(command),
            stdout=True,
            stderr=False,
            stdin=False,
            tty=False,
            _preload_content=False,
        )
        connection = channel.sock.sock  # the library forgets it when the other side ends first
        channel.run_forever(timeout=_EXEC_S)
        answer: str = channel.read_stdout(timeout=1)
        channel.close()
        connection.close()
        return answer

    def query(self, sql: str) -> Any:
        """Return the first row of ``sql`` on the store; whole numbers are numbers."""
        line = self.execute(
            "database-0", "psql", "-qAtX", "-F,", "-U", "bitcoin", "-d", "bitcoin", "-c", sql
        )
        if not line.strip():
            raise ValueError(f"no answer to {sql}")
        words = line.strip().splitlines()[0].split(",")
        return tuple(int(w) if re.fullmatch(r"-?\d+", w) else w or None for w in words)

    def end_offsets(self) -> dict[str, int]:
        """Return the number of messages ever written to each topic."""
        totals = dict.fromkeys(TOPICS, 0)
        for topic, end in _OFFSET.findall(self.execute("kafka-0", "bash", "-c", _ENDS)):
            if topic in totals:
                totals[topic] += int(end)
        return totals

    def autoscaled(self) -> dict[str, int]:
        """Return the replicas that autoscalers see, by Deployment."""
        return {
            scaler["metadata"]["name"]: scaler["status"].get("currentReplicas", 0)
            for scaler in self.objects("HorizontalPodAutoscaler", "autoscaling/v2")
        }

    @contextmanager
    def load_inside(self, url: str, seconds: float, rate: float = 50) -> Iterator[dict[str, Any]]:
        """Run load from a pod of the cluster; what is yielded gets its findings at the end."""
        web = next(p for p in self.objects("Pod") if p["metadata"]["labels"][_NAME] == "web-app")
        image = web["spec"]["containers"][0]["image"]
        security = {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "load", "labels": {_NAME: "load"}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "securityContext": web["spec"]["securityContext"],
                "containers": [
                    {
                        "name": "load",
                        "image": image,
                        "command": ["python", "-c", _LOAD, url, str(seconds), str(rate)],
                        "securityContext": security,
                        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                    }
                ],
            },
        }
        self._kubectl_pod(pod)
        found: dict[str, Any] = {}
        try:
            self._until(lambda: self._phase("load") == "Running", 60)
            yield found
            self._until(lambda: self._phase("load") == "Succeeded", seconds + 60)
            found.update(json.loads(self._log("load")))
        finally:
            self._core().delete_namespaced_pod("load", self.namespace, grace_period_seconds=0)

    def _core(self) -> Any:
        from kubernetes import client

        return client.CoreV1Api(_api())

    def _kubectl_pod(self, pod: dict[str, Any]) -> None:
        self._core().create_namespaced_pod(self.namespace, pod)

    def _phase(self, name: str) -> str:
        return str(self._core().read_namespaced_pod(name, self.namespace).status.phase)

    def _log(self, name: str) -> str:
        return str(self._core().read_namespaced_pod_log(name, self.namespace))

    @staticmethod
    def _until(condition: Any, limit_s: float) -> None:
        end = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end, "the pod did not get there"
            time.sleep(0.5)
