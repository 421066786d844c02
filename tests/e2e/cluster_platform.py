"""The platform on a Kubernetes cluster, met by the same commands and read by the dynamic client.

Where ``KUBECONFIG`` names a cluster and ``E2E_CLUSTER_VARIABLES`` a file of variables for
``build.yml`` (the registry, or ``target: minikube``), the contract runs there too.
"""

import base64
import functools
import io
import json
import os
import re
import sys
import tarfile
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.e2e.cluster_load import LOAD_POLICY, load_pod
from tests.e2e.local_platform import TOPICS, LocalPlatform, save_model, wait_until

__all__ = ["ClusterPlatform", "why_no_cluster"]

_NAME = "app.kubernetes.io/name"
_REPLICAS = "bitcoin-prediction/replicas"
_HOW_TO_BUILD = ("build_", "pip_index_url", "npm_registry")
_EXEC_S = 60
_OFFSET = re.compile(r"^([\w.-]+):\d+:(\d+)$", re.MULTILINE)
_ENDS = (
    "KAFKA_HEAP_OPTS='-Xmx96m -XX:TieredStopAtLevel=1' "
    "/opt/kafka/bin/kafka-get-offsets.sh --bootstrap-server localhost:9092"
)
_UNPACK = (
    "import base64, io, sys, tarfile; tarfile.open(fileobj=io.BytesIO("
    "base64.b64decode(sys.argv[1]))).extractall('/data/models')"
)


def why_no_cluster() -> str:
    """Return why the contract is not tested on a cluster; empty when it is."""
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG names no cluster: the contract is tested on the local target only"
    if not os.environ.get("E2E_CLUSTER_VARIABLES"):
        return "E2E_CLUSTER_VARIABLES names no file of variables (registry: ...) for the cluster"
    return ""


def _told() -> dict[str, Any]:
    """Return what a build on the cluster is told."""
    told: dict[str, Any] = yaml.safe_load(Path(os.environ["E2E_CLUSTER_VARIABLES"]).read_text())
    return told


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
    """An instance on the `cluster` target, or on minikube; pods stand where processes stood."""

    target = "cluster"

    def __post_init__(self) -> None:
        """Take the target from the file of variables, where it names one."""
        self.target = str(_told().get("target", self.target))

    @property
    def namespace(self) -> str:
        """Return the instance's namespace."""
        return f"bitcoin-prediction-{self.instance}"

    @property
    def kafka_ui_health(self) -> str:
        """Return where it says so: kafbat's, or this project's own where that is asked for."""
        own = _told().get("kafka_ui_image") == "own"
        return super().kafka_ui_health if own else f"{self.kafka_ui}/actuator/health"

    def command(self, playbook: str, *arguments: str, **variables: object) -> list[str]:
        """Return the command line; what a build is told beyond the record is told always."""
        told = _told()
        if playbook != "build.yml":  # recorded by the build, but for how images are built
            always = ("kubernetes_", "images_", *_HOW_TO_BUILD * (playbook == "update.yml"))
            told = {name: value for name, value in told.items() if name.startswith(always)}
        known = {"instance": self.instance, "target": self.target, **variables}
        return [
            str(Path(sys.executable).parent / "ansible-playbook"),
            playbook,
            *arguments,
            "-e",
            json.dumps({**told, **known}, default=str),
        ]

    def objects(self, kind: str, api_version: str = "v1") -> list[Any]:
        """Return the objects of a kind in the namespace, read by openshift's dynamic client."""
        found = _dynamic().resources.get(api_version=api_version, kind=kind)
        found = found.get(namespace=self.namespace)
        items: list[Any] = [item.to_dict() for item in found.items]
        return items

    def workload_objects(self) -> list[Any]:
        """Return all Deployments, then all StatefulSets."""
        return self.objects("Deployment", "apps/v1") + self.objects("StatefulSet", "apps/v1")

    def workloads(self) -> dict[str, int]:
        """Return wanted replicas by ``Kind/name``."""
        return {_named(item): item["spec"]["replicas"] for item in self.workload_objects()}

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
            for item in self.workload_objects()
            if item["metadata"]["name"] != besides
        }

    def require_shut(self, mode: str, before: dict[Any, str]) -> None:
        """Assert that a shutdown went as far as ``mode`` says, and no further."""
        left = {name.partition("/")[2] for name, count in self.workloads().items() if count}
        assert set(self.process_names().values()) == left
        assert left == ({"zookeeper", "kafka", "database"} if mode == "services" else set())
        assert before

    def require_back(self, mode: str, before: dict[Any, str], replicas: dict[str, int]) -> None:
        """Assert that there is again as much as there was."""
        now, scaled = self.workloads(), self.autoscaled()
        assert now.keys() == replicas.keys(), (mode, before)
        for name, count in replicas.items():
            # Those that are scaled may have got more or fewer since.
            if name.partition("/")[2] not in scaled:
                assert now[name] == count, name

    def remembered(self) -> dict[str, int]:
        """Return how many replicas each workload that sleeps is to have again."""
        return {
            _named(item): int(item["metadata"]["annotations"][_REPLICAS])
            for item in self.workload_objects()
            if not item["spec"]["replicas"]
        }

    @contextmanager
    def most_replicas(self) -> Iterator[dict[str, int]]:
        """Count replicas meanwhile; what is yielded holds the most that each workload had."""
        most: Counter[str] = Counter()
        done = threading.Event()

        def count() -> None:
            while not done.wait(0.5):
                most.update(Counter(self.workloads()) - most)

        thread = threading.Thread(target=count, daemon=True)
        thread.start()
        try:
            yield most
        finally:
            done.set()
            thread.join()

    def widen(self) -> None:
        """Have two replicas of web-app, as its autoscaler would when many look at it."""
        path = self._scalers().patch_namespaced_horizontal_pod_autoscaler
        path("web-app", self.namespace, {"spec": {"minReplicas": 2}})
        wait_until(lambda: self.ready("web-app") >= 2, 90, "a second web-app")

    def ready(self, deployment: str) -> int:
        """Return how many of a Deployment's pods are ready."""
        found = self.objects("Deployment", "apps/v1")
        status = next(d["status"] for d in found if d["metadata"]["name"] == deployment)
        return int(status.get("readyReplicas") or 0)

    def pod_of(self, service: str) -> str:
        """Return the name of a pod of a service that runs."""
        return next(
            str(pod["metadata"]["name"])
            for pod in self.objects("Pod")
            if pod["metadata"]["labels"][_NAME] == service
            and pod["status"].get("phase") == "Running"
            and not pod["metadata"].get("deletionTimestamp")
        )

    def kill_pods(self, service: str, grace_s: int = 0) -> None:
        """Delete all pods of a service."""
        self._core().delete_collection_namespaced_pod(
            self.namespace, label_selector=f"{_NAME}={service}", grace_period_seconds=grace_s
        )

    def put_model(self, version: str) -> None:
        """Put a model of ours in service, on the volume of the forecaster."""
        with tempfile.TemporaryDirectory() as folder:
            save_model(Path(folder), version)
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
                archive.add(folder, ".", filter=_as_in_the_image)
        content = base64.b64encode(buffer.getvalue()).decode()
        self.execute(self.pod_of("bitcoin-forecast-app"), "python", "-c", _UNPACK, content)

    def model_in_service(self) -> str:
        """Return the version that the forecaster is to use; empty for none."""
        pod = self.pod_of("bitcoin-forecast-app")
        return self.execute(pod, "cat", "/data/models/simulated/current").strip()

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
    def load_inside(self, url: str, rate: float = 50) -> Iterator[dict[str, Any]]:
        """Run load from a pod of the cluster; what is yielded gets its findings at the end."""
        found: dict[str, Any] = {}
        policy = self._networks().create_namespaced_network_policy
        policy(self.namespace, LOAD_POLICY)
        web = next(p for p in self.objects("Pod") if p["metadata"]["labels"][_NAME] == "web-app")
        self._core().create_namespaced_pod(self.namespace, load_pod(web, url, rate))
        try:
            wait_until(lambda: self._phase("load") == "Running", 60, "the pod of the load")
            yield found
            self.execute("load", "sh", "-c", "kill -TERM 1")
            wait_until(lambda: self._phase("load") == "Succeeded", 60, "the load's end")
            found.update(json.loads(self._log("load")))
        finally:
            self._core().delete_namespaced_pod("load", self.namespace, grace_period_seconds=0)
            self._networks().delete_namespaced_network_policy("load", self.namespace)

    def _core(self) -> Any:
        from kubernetes import client

        return client.CoreV1Api(_api())

    def _scalers(self) -> Any:
        from kubernetes import client

        return client.AutoscalingV2Api(_api())

    def _networks(self) -> Any:
        from kubernetes import client

        return client.NetworkingV1Api(_api())

    def _phase(self, name: str) -> str:
        return str(self._core().read_namespaced_pod(name, self.namespace).status.phase)

    def _log(self, name: str) -> str:
        return str(self._core().read_namespaced_pod_log(name, self.namespace))


def _named(item: dict[str, Any]) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"


def _as_in_the_image(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Have a file that any user of the pod's group may replace."""
    entry.uid, entry.gid, entry.mode = 10001, 0, entry.mode | 0o660
    return entry
