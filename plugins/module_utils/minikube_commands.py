"""The minikube and docker commands: what each step runs, how long it may take, what was seen."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.minikube_state import Observation, Step

LOOK_S = 20.0
QUICK_S = 60.0
STOP_S = 150.0
TIMED_OUT = 124
_BRIEF_WAIT = "30s"
_FIRST_WAIT = "360s"  # minikube's own: a slow disk has everything to unpack


@dataclass(frozen=True)
class Outcome:
    """Exit code and what was printed; the code is 124 when the time limit passed."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Return both outputs."""
        return f"{self.out}\n{self.err}"


Run = Callable[[Sequence[str], float], Outcome]


def run(argv: Sequence[str], limit_s: float) -> Outcome:
    """Run a command to its end or to its limit; never waits on a terminal.

    minikube speaks the user's language, and is understood in English only.
    """
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and validated names, no shell
            argv,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        return Outcome(TIMED_OUT, "", f"no answer within {limit_s:.0f} s")
    except FileNotFoundError:
        return Outcome(127, "", f"{argv[0]}: command not found")
    return Outcome(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Cluster:
    """Which cluster, and what a new one is made with. Memory is in MiB."""

    profile: str
    cpus: int
    memory_mib: int
    runtime: str
    kubernetes_version: str = ""
    force: bool = False
    start_s: float = 900.0
    extra: tuple[str, ...] = ()
    bridge: bool = False  # the pods' network is minikube's own bridge

    def minikube(self, *arguments: str) -> list[str]:
        """Return a command line for this profile."""
        return ["minikube", *arguments, "--profile", self.profile]

    def start(self, wait: str = "120s") -> list[str]:
        """Return the command line of a start; sizes only count for a new cluster."""
        return self.minikube(
            "start",
            "--driver=docker",
            f"--container-runtime={self.runtime}",
            f"--cpus={self.cpus}",
            f"--memory={self.memory_mib}mb",
            f"--wait-timeout={wait}",
            "--interactive=false",
            *(
                [f"--kubernetes-version={self.kubernetes_version}"]
                if self.kubernetes_version
                else []
            ),
            *(["--force"] if self.force else []),
            *self.extra,
        )

    def in_node(self, script: str) -> list[str]:
        """Return a command line that runs a shell script as root in the node's container."""
        return ["docker", "exec", self.profile, "sh", "-ec", script]


# minikube itself runs these phases at first start; the volume keeps their input.
_REBUILD = """
cd /var/lib/minikube/binaries
kubeadm=$(ls -d v*/ | sort -V | tail -1)kubeadm
config=/var/tmp/minikube/kubeadm.yaml
test -x "$kubeadm" && test -s "$config"
mkdir -p /etc/kubernetes/manifests
for phase in "kubeconfig all" "etcd local" "control-plane all" "kubelet-start"; do
  "./$kubeadm" init phase $phase --config "$config"
done
"""
# minikube writes this for a new cluster only, and it goes with the node's container. A network
# that a DaemonSet makes (kindnet, Calico) writes its own.
_NETWORK = {
    "cniVersion": "0.4.0",
    "name": "bridge",
    "plugins": [
        {
            "type": "bridge", "bridge": "bridge", "isDefaultGateway": True, "ipMasq": True,
            "hairpinMode": True, "ipam": {"type": "host-local", "subnet": "POD_SUBNET"},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
        {"type": "firewall"},
    ],
}  # fmt: skip
_REBUILD_NETWORK = f"""
if ! ls /etc/cni/net.d/*.conflist >/dev/null 2>&1; then
  subnet=$(sed -n 's/^ *podSubnet: *//p' "$config" | tr -d '"')
  mkdir -p /etc/cni/net.d
  echo '{json.dumps(_NETWORK)}' | sed "s|POD_SUBNET|$subnet|" > /etc/cni/net.d/1-k8s.conflist
fi
"""


def commands(step: Step, cluster: Cluster) -> list[tuple[list[str], float]]:
    """Return the command lines of a step, each with its limit in seconds."""
    minikube = cluster.minikube
    delete = (minikube("delete"), STOP_S)
    remains = [
        (["docker", "rm", "--force", "--volumes", cluster.profile], QUICK_S),
        (["docker", "volume", "rm", "--force", cluster.profile], QUICK_S),
    ]
    start = (cluster.start(), cluster.start_s)
    first = (cluster.start(_FIRST_WAIT), cluster.start_s)
    rebuild = _REBUILD + (_REBUILD_NETWORK if cluster.bridge else "")
    table: Mapping[Step, list[tuple[list[str], float]]] = {
        Step.CREATE: [first],
        Step.START: [start],
        Step.START_BRIEFLY: [(cluster.start(_BRIEF_WAIT), cluster.start_s)],
        Step.UNPAUSE: [(minikube("unpause", "-A"), QUICK_S)],
        Step.THAW_NODE: [(["docker", "unpause", cluster.profile], LOOK_S)],
        Step.FIX_KUBECONFIG: [(minikube("update-context"), QUICK_S)],
        Step.FIX_NETWORK: [],  # see fix_network: it depends on the node's address
        Step.WAIT: [],
        Step.RESTART_KUBELET: [(cluster.in_node("systemctl restart kubelet"), QUICK_S)],
        Step.REBUILD_CONTROL_PLANE: [(cluster.in_node(rebuild), STOP_S)],
        Step.PAUSE: [(minikube("pause", "-A"), QUICK_S)],
        Step.STOP: [(minikube("stop"), STOP_S)],
        Step.STOP_CONTAINER: [(["docker", "stop", cluster.profile], QUICK_S)],
        Step.DELETE: [delete],
        Step.REMOVE_REMAINS: remains,
        Step.RECREATE: [delete, *remains, first],
    }
    return table[step]


def fix_network(cluster: Cluster, node: Mapping[str, object]) -> list[list[str]]:
    """Return the command lines that give a stopped node its network and its address back.

    ``node`` is what ``docker container inspect`` says. Raises `ValueError` when it names no
    address: the cluster's certificates hold the old one, any other would not do.
    """
    settings = node.get("NetworkSettings")
    networks = settings.get("Networks") if isinstance(settings, Mapping) else None
    mine = networks.get(cluster.profile) if isinstance(networks, Mapping) else None
    fixed = mine.get("IPAMConfig") if isinstance(mine, Mapping) else None
    address = str(fixed.get("IPv4Address") or "") if isinstance(fixed, Mapping) else ""
    if address.count(".") != 3:
        raise ValueError("the node's container does not say which address it had")
    prefix = address.rpartition(".")[0]
    name = cluster.profile
    return [
        ["docker", "network", "create", "--driver=bridge", f"--subnet={prefix}.0/24",
         f"--gateway={prefix}.1", "--label=created_by.minikube.sigs.k8s.io=true",
         f"--label=name.minikube.sigs.k8s.io={name}", name],
        ["docker", "network", "disconnect", "--force", name, name],
        ["docker", "network", "connect", f"--ip={address}", name, name],
    ]  # fmt: skip


def observe(cluster: Cluster, execute: Run) -> Observation:
    """Look at Docker and at minikube; every look has a time limit."""
    if execute(["docker", "version", "--format", "{{.Server.Version}}"], LOOK_S).code:
        return Observation(docker=False)
    inspected = execute(
        ["docker", "container", "inspect", cluster.profile, "--format", "{{.State.Status}}"], LOOK_S
    )
    container = inspected.out.strip() if inspected.code == 0 else None
    frozen_node = container == "paused"  # minikube would only say so, or hang
    status = execute(cluster.minikube("status", "-o", "json"), LOOK_S)
    there = {
        kind: execute(["docker", kind, "inspect", cluster.profile], LOOK_S).code == 0
        for kind in ("volume", "network")
    }
    parsed = parse_status(status.out)
    healthy = status.code == 0 and container == "running" and not frozen_node
    return Observation(
        docker=True,
        status_code=None if status.code == TIMED_OUT else status.code,
        status=parsed,
        container=container,
        volume=there["volume"],
        network=there["network"],
        frozen=_frozen_containers(cluster, execute) if healthy else 0,
        certificates_expired=certificates_expired(cluster.profile),
    )


def parse_status(text: str) -> dict[str, str] | None:
    """Return the status object; None for `null`, for events and for anything else."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if isinstance(found, list):  # one object for each node of a cluster with several
        found = next((node for node in found if not node.get("Worker")), None)
    if not isinstance(found, dict) or "Host" not in found:
        return None
    return {str(key): str(value) for key, value in found.items()}


def _frozen_containers(cluster: Cluster, execute: Run) -> int:
    listing = {
        "docker": "docker ps --quiet --filter status=paused",
        "containerd": "ctr --namespace k8s.io tasks ls | grep PAUSED || true",
    }.get(cluster.runtime)
    if listing is None:
        return 0
    answer = execute(cluster.in_node(listing), LOOK_S)
    return len(answer.out.split("\n")) - 1 if answer.code == 0 else 0


def profile_directory(profile: str) -> Path:
    """Return where minikube keeps the profile."""
    base = Path(os.environ.get("MINIKUBE_HOME") or Path.home())
    home = base if base.name == ".minikube" else base / ".minikube"
    return home / "profiles" / profile


def certificates_expired(profile: str) -> bool:
    """Return whether the API server's or our own certificate has expired."""
    from cryptography import x509

    now = datetime.datetime.now(datetime.timezone.utc)  # noqa: TID251, UP017 - a module has no clock
    for name in ("apiserver.crt", "client.crt"):
        try:
            content = (profile_directory(profile) / name).read_bytes()
            if x509.load_pem_x509_certificate(content).not_valid_after_utc < now:
                return True
        except (OSError, ValueError):
            continue
    return False


@dataclass(frozen=True)
class Made:
    """What an existing cluster was made with; zero and empty where nothing says so."""

    driver: str = ""
    runtime: str = ""
    cpus: int = 0
    memory_mib: int = 0
    bridge: bool = False


def made_with(profile: str) -> Made:
    """Return what the profile's configuration says."""
    try:
        config = json.loads((profile_directory(profile) / "config.json").read_text())
        kubernetes = config.get("KubernetesConfig") or {}
        runtime = str(kubernetes.get("ContainerRuntime", ""))
        network = kubernetes.get("CNI") or "auto"
        alone = len(config.get("Nodes") or []) <= 1
        return Made(
            str(config.get("Driver", "")),
            runtime,
            int(config["CPUs"]),
            int(config["Memory"]),
            bridge=network == "bridge" or (network == "auto" and runtime == "docker" and alone),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Made()
