"""A stand-in for `minikube`, `docker` and `kubectl`: a state machine with the recorded behaviour.

Installed under those names by `install`; the state lives in a JSON file beside them. What the real
minikube v1.38.1 printed and returned was recorded in each state; `STATUS` and `MOVES` hold those
facts (`tests/unit/plugins/test_minikube_facts.py` compares them with a recording, if there is one).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.minikube_lab import Lab

# Of the docker command line, what concerns images and not the node.
OF_IMAGES = ("build", "buildx", "image", "manifest", "push", "save")

# state: (exit code of `status`, (Host, Kubelet, APIServer, Kubeconfig) or None, container, volume)
STATUS: dict[str, tuple[int, tuple[str, str, str, str] | None, str | None, bool]] = {
    "running": (0, ("Running", "Running", "Running", "Configured"), "running", True),
    "frozen": (0, ("Running", "Running", "Running", "Configured"), "running", True),
    "paused": (2, ("Running", "Stopped", "Paused", "Configured"), "running", True),
    "kubelet-stopped": (2, ("Running", "Stopped", "Running", "Configured"), "running", True),
    "apiserver-gone": (2, ("Running", "Running", "Stopped", "Configured"), "running", True),
    "kubeconfig-gone": (4, ("Running", "Running", "Running", "Misconfigured"), "running", True),
    "starting": (6, ("Running", "Stopped", "Stopped", "Misconfigured"), "running", True),
    "stopped": (7, ("Stopped", "Stopped", "Stopped", "Stopped"), "exited", True),
    "network-removed": (7, ("Stopped", "Stopped", "Stopped", "Stopped"), "exited", True),
    "node-container-paused": (7, ("Paused", "Paused", "Paused", "Paused"), "paused", True),
    "removed": (7, None, None, True),
    "removed-volume": (7, None, None, False),
    "machine-dir-gone": (7, None, "running", True),
    "profile-dir-gone": (85, None, "running", True),
    "profile-broken-json": (38, None, "running", True),
    "silent": (124, None, "running", True),
    "absent": (85, None, None, False),
    "remains": (85, None, "exited", True),
    "docker-down": (7, None, None, False),
    "stopped-apiserver-gone": (7, ("Stopped", "Stopped", "Stopped", "Stopped"), "exited", True),
    "broken-and-stopped": (38, None, "exited", True),
    "machine-gone-and-stopped": (7, None, "exited", True),
}

# (state, command): (exit code, state afterwards). What is not here changes nothing and returns 0.
MOVES: dict[tuple[str, str], tuple[int, str]] = {
    ("absent", "start"): (0, "running"),
    ("frozen", "start"): (0, "running"),
    ("paused", "start"): (0, "running"),
    ("stopped", "start"): (0, "running"),
    ("starting", "start"): (0, "running"),
    ("kubelet-stopped", "start"): (0, "running"),
    ("kubeconfig-gone", "start"): (0, "running"),
    ("removed-volume", "start"): (0, "running"),
    ("apiserver-gone", "start"): (105, "apiserver-gone"),
    ("removed", "start"): (105, "apiserver-gone"),
    ("machine-dir-gone", "start"): (105, "apiserver-gone"),
    ("profile-dir-gone", "start"): (50, "profile-dir-gone"),
    ("profile-broken-json", "start"): (38, "profile-broken-json"),
    ("network-removed", "start"): (80, "network-removed"),
    ("docker-down", "start"): (63, "docker-down"),
    ("running", "pause"): (0, "paused"),
    ("frozen", "pause"): (0, "paused"),
    ("kubelet-stopped", "pause"): (0, "paused"),
    ("kubeconfig-gone", "pause"): (0, "paused"),
    ("stopped", "pause"): (83, "stopped"),
    ("removed", "pause"): (80, "removed"),
    ("absent", "pause"): (85, "absent"),
    ("paused", "unpause"): (0, "running"),
    ("frozen", "unpause"): (0, "running"),
    ("stopped", "unpause"): (83, "stopped"),
    ("absent", "unpause"): (85, "absent"),
    ("kubeconfig-gone", "update-context"): (0, "running"),
    ("removed", "stop"): (82, "removed"),
    ("absent", "stop"): (85, "absent"),
    **{
        (state, "stop"): (0, "stopped")
        for state in ("running", "frozen", "paused", "kubelet-stopped", "kubeconfig-gone",
                      "starting", "silent")
    },
    ("apiserver-gone", "stop"): (0, "stopped-apiserver-gone"),
    **{(state, "delete"): (0, "absent") for state in STATUS if state != "docker-down"},
    ("profile-dir-gone", "delete"): (0, "remains"),
    ("node-container-paused", "docker unpause"): (0, "running"),
    ("kubelet-stopped", "restart-kubelet"): (0, "running"),
    ("apiserver-gone", "rebuild"): (0, "running"),
    ("network-removed", "docker network connect"): (0, "stopped"),
    **{
        (state, "docker stop"): (0, after)
        for state, after in (("silent", "stopped"), ("profile-dir-gone", "remains"),
                             ("profile-broken-json", "broken-and-stopped"),
                             ("machine-dir-gone", "machine-gone-and-stopped"))
    },
    ("remains", "docker rm"): (0, "absent"),
    ("broken-and-stopped", "start"): (38, "broken-and-stopped"),
    ("machine-gone-and-stopped", "start"): (105, "apiserver-gone"),
    ("stopped-apiserver-gone", "start"): (105, "apiserver-gone"),
}  # fmt: skip

_REASONS = {
    105: "X Exiting due to K8S_APISERVER_MISSING: wait for apiserver proc: it never appeared",
    50: 'X Exiting due to DRV_CP_ENDPOINT: failed to lookup ip for ""',
    38: "X Exiting due to HOST_CONFIG_LOAD: Unable to load config",
    63: "X Exiting due to PROVIDER_DOCKER_NOT_RUNNING: Cannot connect to the Docker daemon",
    29: "X Exiting due to RSRC_INSUFFICIENT_CORES: Requested cpu count is too great",
    57: 'X Exiting due to DRV_AS_ROOT: The "docker" driver should not be used by root.',
}


def install(directory: Path, state: str, **options: Any) -> None:
    """Put the three commands into ``directory``; ``options`` override the machine's facts."""
    machine = {
        "state": state, "cpus": 8, "memory": 16 << 30, "version": "v1.38.1", "addons": [],
        "calls": [], "start_fails": 0, "heals": True, "lab": None, **options,
    }  # fmt: skip
    (directory / "machine.json").write_text(json.dumps(machine))
    for name in ("minikube", "docker", "kubectl"):
        command = directory / name
        words = f'"{sys.executable}" "{Path(__file__).resolve()}" "{directory}" {name}'
        command.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        command.chmod(0o755)


def read(directory: Path) -> dict[str, Any]:
    """Return the machine: its state and the calls that changed or tried to change it."""
    machine: dict[str, Any] = json.loads((directory / "machine.json").read_text())
    return machine


def lab_of(facts: dict[str, Any]) -> Lab:
    """Return the real cluster behind the machine; read only then, since each call is a process."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.support.minikube_lab import Lab

    return Lab(facts)


class Machine:
    """The fake machine behind one call."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.facts: dict[str, Any] = json.loads(file.read_text())
        self.state: str = self.facts["state"]
        self.lab = lab_of(self.facts["lab"]) if self.facts["lab"] else None

    def move(self, command: str) -> int:
        """Do what ``command`` does in this state; return its exit code."""
        code, after = MOVES.get((self.state, command), (0, self.state))
        if command in ("restart-kubelet", "rebuild") and not self.facts["heals"]:
            code, after = 1, self.state
        if command == "start" and self.facts["start_fails"]:
            code, after = self.facts["start_fails"], self.state
        self.facts["state"] = after
        self.facts["calls"].append(command)
        self.file.write_text(json.dumps(self.facts))
        if code:
            sys.stderr.write(_REASONS.get(code, f"failed in state {self.state}") + "\n")
        return code

    def minikube(self, words: list[str]) -> int:
        """Answer as minikube does."""
        if words[0] == "version":
            sys.stdout.write(f"minikube version: {self.facts['version']}\n")
            return 0
        if words[0] == "status":
            return self._status()
        if words[0] == "addons":
            return self._addons(words)
        if words[0] in ("docker-env", "image"):
            return self._images(words)
        code = self.move(words[0])
        if self.lab and not code:
            self.lab.follow(words[0], words[-1])
        return code

    def _images(self, words: list[str]) -> int:
        """Answer about images as with the containerd runtime: no Docker to build with."""
        if words[0] == "docker-env":
            sys.stdout.write("false exit code 10\n")
            return 10
        if self.lab and words[1] == "ls":
            sys.stdout.write(json.dumps([{"repoTags": self.lab.images()}]))
        elif self.lab and words[1] == "load":
            self.lab.load(words[2])
        return 0

    def _status(self) -> int:
        code, parts, _, _ = STATUS[self.state]
        if parts:
            names = ("Host", "Kubelet", "APIServer", "Kubeconfig")
            status = {"Name": "minikube", **dict(zip(names, parts, strict=True)), "Worker": False}
            sys.stdout.write(json.dumps(status) + "\n")
        elif code == 7:
            sys.stdout.write("null\n")
        return code

    def _addons(self, words: list[str]) -> int:
        enabled = self.facts["addons"]
        if words[1] == "list":
            names = {"metrics-server", "dashboard", *enabled}
            states = {n: {"Status": "enabled" if n in enabled else "disabled"} for n in names}
            sys.stdout.write(json.dumps(states))
            return 0
        self.facts["addons"].append(words[2])
        return self.move(f"addons enable {words[2]}")

    def docker(self, words: list[str]) -> int:
        """Answer as docker does; with a lab, what concerns images is for the real one."""
        if self.lab and (words[0] in OF_IMAGES or "{{.Client.Version}}" in words):
            return self.lab.docker(words)
        return self._docker(words)

    def _docker(self, words: list[str]) -> int:
        if self.state == "docker-down":
            sys.stderr.write("Cannot connect to the Docker daemon. Is the docker daemon running?\n")
            return 1
        _, _, container, volume = STATUS[self.state]
        network = self.state not in ("network-removed", "absent")
        there = {"container": container is not None, "volume": volume, "network": network}
        if words[0] == "version":
            sys.stdout.write("28.2.2\n")
        elif words[0] == "info":
            sys.stdout.write(f"{self.facts['cpus']} {self.facts['memory']}\n")
        elif words[:2] == ["container", "inspect"] and "--format" in words:
            sys.stdout.write(f"{container}\n" if container else "")
            return 0 if container else 1
        elif words[:2] == ["container", "inspect"]:
            settings = {"IPAMConfig": {"IPv4Address": "192.168.49.2"}}
            sys.stdout.write(
                json.dumps([{"NetworkSettings": {"Networks": {"minikube": settings}}}])
            )
        elif words[1:2] == ["inspect"]:
            return 0 if there[words[0]] else 1
        elif words[0] == "exec":
            return self._exec(words[-1])
        elif words[0] in ("unpause", "stop", "rm"):
            return self.move(f"docker {words[0]}")
        elif words[0] == "network":
            return self.move(f"docker network {words[1]}")
        return 0

    def _exec(self, script: str) -> int:
        if script.startswith(("docker ps", "ctr ")):
            sys.stdout.write("0123456789ab\n" if self.state == "frozen" else "")
            return 0
        return self.move("rebuild" if "kubeadm" in script else "restart-kubelet")


def main(directory: Path, name: str, words: list[str]) -> int:
    """Be one of the commands."""
    machine = Machine(directory / "machine.json")
    return {"minikube": machine.minikube, "docker": machine.docker}.get(name, lambda _: 0)(words)


if __name__ == "__main__" and sys.argv[1] == "install":
    Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
    lab = {"lab": json.loads(sys.argv[4])} if len(sys.argv) > 4 else {}
    install(Path(sys.argv[2]), sys.argv[3], **lab)
elif __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
