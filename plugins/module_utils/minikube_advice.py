"""What to tell people about minikube: missing tools, a host that is too small, a failed start."""

from __future__ import annotations

import re
from dataclasses import dataclass

LEAST_CPUS = 2
LEAST_MEMORY_MIB = 4096
_HOST_RESERVE_MIB = 512  # what Docker and the host keep for themselves
_OLDEST = (1, 32)

INSTALL = {
    "docker": "install Docker (https://docs.docker.com/get-docker/), then start it",
    "minikube": "install it (https://minikube.sigs.k8s.io/docs/start/)",
    "kubectl": "install it (https://kubernetes.io/docs/tasks/tools/)",
}
DOCKER_DOWN = (
    "Docker does not answer. Start it: `sudo systemctl start docker` on Linux, Docker Desktop on "
    "macOS and Windows; if `docker info` works only with sudo: `sudo usermod -aG docker $USER`, "
    "then log in again"
)
AS_ROOT = (
    "minikube's Docker driver refuses to run as root. Run this as an ordinary user of the group "
    "docker, or type: -e minikube_force=true"
)


@dataclass(frozen=True)
class Host:
    """What Docker could give to a node. Memory is in MiB."""

    cpus: int
    memory_mib: int


def missing_tool(name: str) -> str:
    """Return the message for a command that is not there."""
    return f"the command `{name}` is missing: {INSTALL[name]}, then run this again"


def other_driver(profile: str, driver: str) -> str:
    """Return the message for a cluster that is not a container of Docker's."""
    return (
        f"the minikube cluster {profile} was made with the driver {driver}, and this project works "
        "with the Docker driver. It was left alone; take another: -e minikube_profile=bitcoin"
    )


def version_fault(text: str) -> str:
    """Return what is wrong with what ``minikube version`` prints; empty when nothing is."""
    found = re.search(r"v(\d+)\.(\d+)\.(\d+)", text)
    if not found:
        return f"cannot read minikube's version from {text.strip()!r}; type: minikube version"
    if (int(found[1]), int(found[2])) < _OLDEST:
        oldest = ".".join(str(part) for part in _OLDEST)
        return f"minikube {found[0]} is too old, {oldest} or later is needed: {INSTALL['minikube']}"
    return ""


def size_fault(host: Host, cpus: int, memory_mib: int) -> str:
    """Return why a host cannot give what is asked for, and what it could; empty when it can."""
    spare = max(0, host.memory_mib - _HOST_RESERVE_MIB)
    if cpus <= host.cpus and memory_mib <= spare:
        return ""
    has = f"Docker has {host.cpus} CPUs and {host.memory_mib} MiB"
    asked = f"the cluster is to have {cpus} CPUs and {memory_mib} MiB"
    if host.cpus < LEAST_CPUS or spare < LEAST_MEMORY_MIB:
        return (
            f"{asked}, but {has}; at least {LEAST_CPUS} CPUs and "
            f"{LEAST_MEMORY_MIB + _HOST_RESERVE_MIB} MiB are needed. Give Docker more (Docker "
            "Desktop: Settings, Resources), or type: -e target=local"
        )
    fitting = f"-e minikube_cpus={min(cpus, host.cpus)} -e minikube_memory={min(memory_mib, spare)}"
    return f"{asked}, but {has}. Type: {fitting}"


# What minikube says, and what to do about it. No step of ours would help against these.
_REASONS = (
    ("PROVIDER_DOCKER_NOT_RUNNING", DOCKER_DOWN),
    ("DRV_AS_ROOT", AS_ROOT),
    ("RSRC_INSUFFICIENT_CORES", "the host has fewer CPUs: give fewer with -e minikube_cpus=2"),
    ("RSRC_OVER_ALLOC_MEM", "the host has less memory: give less with -e minikube_memory=5120"),
    ("RSRC_INSUFFICIENT_REQ_MEMORY", "more memory is needed: -e minikube_memory=6144"),
    ("RSRC_DOCKER_STORAGE", "the disk is full: `docker system prune` frees what is not used"),
    (
        "INET_",
        "an image cannot be fetched: check the network or set HTTPS_PROXY, then run this again",
    ),
    ("DRV_NOT_HEALTHY", DOCKER_DOWN),
    ("IF_SSH_AGENT", "stop the ssh-agent or unset SSH_AUTH_SOCK, then run this again"),
)


def fatal_reason(text: str) -> str:
    """Return what a failed command means when only the user can help; empty for all else."""
    found = re.search(r"Exiting due to ([A-Z0-9_]+): ?(.*)", text)
    if not found:
        return ""
    advice = next((advice for code, advice in _REASONS if found[1].startswith(code)), "")
    return f"minikube says {found[1]}: {found[2].strip()[:200]}\n{advice}" if advice else ""


def short(text: str) -> str:
    """Return the lines of a failed command's output that people can use."""
    lines = [
        line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] not in "│╭╰╯"
    ]
    telling = [line for line in lines if line.startswith(("X ", "Error", "error"))]
    return "\n".join((telling or lines)[-4:])
