#!/usr/bin/python
"""Collect what someone who helps needs to see, without secrets, in one archive."""

from __future__ import annotations

import base64
import datetime
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.instance_process import find_members
from ansible.module_utils.redaction import HIDDEN, redacted, redacted_text

DOCUMENTATION = r"""
---
module: support_bundle
short_description: Collect objects, events, logs, versions and settings of an instance, no secrets
description:
  - Whatever cannot be had is named in the bundle; nothing makes the collection fail.
  - Objects of kind Secret are never part of it; their values, and those of the instance's own
    files of secrets, are taken out wherever else they occur.
options:
  instance: {description: Name of the instance., type: str, required: true}
  instance_dir: {description: Directory of the instance., type: path, required: true}
  directory: {description: Where the archive goes., type: path, required: true}
  target: {description: Target of the instance., type: str, required: true}
  namespace: {description: Namespace on a cluster., type: str, default: ""}
  kubeconfig: {description: Empty takes the usual one., type: str, default: ""}
  context: {description: Empty takes the current one., type: str, default: ""}
  minikube_profile: {description: Name of the minikube cluster., type: str, default: minikube}
  log_lines: {description: Last lines of each log., type: int, default: 2000}
  status:
    description: Command that prints the status screen; empty leaves it out.
    type: list
    elements: str
    default: []
author: ["bitcoin-prediction"]
"""

RETURN = r"""
path: {description: The archive., type: str, returned: always}
files: {description: Names of what is in it., type: list, returned: always}
missing: {description: What could not be had and why., type: list, returned: always}
"""

_COMMAND_S = 15.0
_STATUS_S = 60.0  # it asks the database and Kafka
_SECRETS = ("database", "web-token", "exchange-credentials")  # ours, where no list is permitted
_PACKAGES = ("ansible-core", "kubernetes", "kafka-python", "supervisor", "psutil")
_KINDS = {
    "": ["pods", "services", "configmaps", "persistentvolumeclaims", "resourcequotas",
         "limitranges", "events", "endpoints"],
    "apps/v1": ["deployments", "statefulsets", "replicasets"],
    "batch/v1": ["jobs"],
    "autoscaling/v2": ["horizontalpodautoscalers"],
    "policy/v1": ["poddisruptionbudgets"],
    "networking.k8s.io/v1": ["networkpolicies"],
    "discovery.k8s.io/v1": ["endpointslices"],
    "route.openshift.io/v1": ["routes"],
}  # fmt: skip
_SECRET_FILES = ("etc/credentials.env", "etc/web_token")
_CONFIGURATION = ("instance.json", "minikube.json", "lock.json", "etc/**/*", "slots/*/*/env")


def main() -> None:
    text = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "instance": {"type": "str", "required": True},
            "instance_dir": {"type": "path", "required": True},
            "directory": {"type": "path", "required": True},
            "target": {"type": "str", "required": True},
            "namespace": text,
            "kubeconfig": text,
            "context": text,
            "minikube_profile": {"type": "str", "default": "minikube"},
            "log_lines": {"type": "int", "default": 2000},
            "status": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    now = datetime.datetime.now(datetime.timezone.utc)  # noqa: TID251, UP017 - a module has no clock
    options = module.params
    name = f"bitcoin-prediction-{options['instance']}-{now:%Y%m%dT%H%M%SZ}"
    path = Path(options["directory"], f"{name}.tar.gz")
    if module.check_mode:
        module.exit_json(changed=True, path=str(path), files=[], missing=[])
    bundle = collect(options)
    files = bundle.cleaned()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write(path, name, files)
    module.exit_json(changed=True, path=str(path), files=sorted(files), missing=bundle.missing)


class Bundle:
    """What was collected, what could not be, and the secrets that must not be in it."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.missing: list[str] = []
        self.secrets: set[str] = set()

    def add(self, name: str, content: Callable[[], Any]) -> None:
        """Keep what ``content`` returns, text or an object; what it raises is noted instead."""
        try:
            found = content()
        except Exception as error:  # noqa: BLE001 - one part that fails must not cost the others
            self.missing.append(f"{name}: {error}")
            return
        whole = found if isinstance(found, str) else json.dumps(redacted(found), indent=1)
        self.files[name] = whole

    def cleaned(self) -> dict[str, str]:
        """Return the files without secrets, with a list of what is missing."""
        files = {**self.files, "missing.txt": "\n".join(self.missing) + "\n"}
        return {name: redacted_text(text, self.secrets) for name, text in files.items()}


def collect(options: Mapping[str, Any]) -> Bundle:
    """Return everything about an instance on its target."""
    bundle = Bundle()
    directory = Path(options["instance_dir"])
    bundle.secrets |= secrets_of_files(directory)
    bundle.add("versions.json", lambda: versions(options))
    bundle.add("processes.json", lambda: processes(str(directory)))
    if options["status"]:
        bundle.add("status.txt", partial(said, options["status"], _STATUS_S))
    for file in files_of(directory):
        bundle.add(f"instance/{file.relative_to(directory)}", file.read_text)
    for log in sorted(directory.glob("log/*.log*")):
        bundle.add(f"log/{log.name}", partial(last_lines, log, options["log_lines"]))
    if options["target"] != "local":
        bundle.add("cluster/reached", lambda: collect_cluster(bundle, options))
    if options["target"] == "minikube":
        for words in (["status", "-o", "json"], ["profile", "list", "-o", "json"]):
            argv = ["minikube", *words, "--profile", options["minikube_profile"]]
            bundle.add(f"minikube/{words[0]}.txt", partial(said, argv))
    return bundle


def collect_cluster(bundle: Bundle, options: Mapping[str, Any]) -> str:
    """Add the namespace's objects, its pods' logs, and the nodes; return the server's version."""
    from ansible.module_utils.kube_api import Kube

    kube = Kube(options["kubeconfig"], options["context"])
    version = str(kube.get("/version")["gitVersion"])
    space = options["namespace"]
    for secret in secrets_of_namespace(kube, space):
        values = (secret.get("data") or {}).values()
        bundle.secrets |= {base64.b64decode(v).decode(errors="replace") for v in values if v}
    for group, kinds in _KINDS.items():
        base = f"/apis/{group}" if group else "/api/v1"
        for kind in kinds:
            path = f"{base}/namespaces/{space}/{kind}"
            bundle.add(f"cluster/{kind}.json", partial(objects, kube, path))
    bundle.add("cluster/nodes.json", partial(objects, kube, "/api/v1/nodes"))
    bundle.add(
        "cluster/storageclasses.json",
        partial(objects, kube, "/apis/storage.k8s.io/v1/storageclasses"),
    )
    metrics = f"/apis/metrics.k8s.io/v1beta1/namespaces/{space}/pods"
    bundle.add("cluster/metrics.json", partial(objects, kube, metrics))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda log: bundle.add(*log), pod_logs(kube, space, options["log_lines"])))
    return f"{kube.context} {version}\n"


def secrets_of_namespace(kube: Any, space: str) -> list[dict[str, Any]]:
    """Return all secrets of the namespace that this account may read."""
    from ansible.module_utils.kube_api import Forbidden

    path = f"/api/v1/namespaces/{space}/secrets"
    found: list[dict[str, Any]] = []
    try:
        found = kube.items(path)
    except Forbidden:
        for name in _SECRETS:
            with suppress(Forbidden, KeyError):
                found.append(kube.get(f"{path}/{name}"))
    return found


def pod_logs(kube: Any, space: str, lines: int) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield a name and a reader for each container's log, and the one before its last restart."""
    for pod in kube.items(f"/api/v1/namespaces/{space}/pods"):
        name, spec, status = pod["metadata"]["name"], pod["spec"], pod.get("status") or {}
        ended = {
            each["name"]
            for each in status.get("containerStatuses") or []
            if each.get("restartCount")
        }
        for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
            for previous in (False, True) if container["name"] in ended else (False,):
                query: dict[str, Any] = {"container": container["name"], "tailLines": lines}
                query |= {"previous": "true"} if previous else {}
                suffix = ".previous" if previous else ""
                path = f"/api/v1/namespaces/{space}/pods/{name}/log"
                yield (
                    f"cluster/log/{name}.{container['name']}{suffix}.log",
                    partial(kube.text, path, **query),
                )


def objects(kube: Any, path: str) -> list[dict[str, Any]]:
    """Return the objects at ``path`` without the bookkeeping of server-side apply."""
    items: list[dict[str, Any]] = kube.items(path)
    for item in items:
        item.get("metadata", {}).pop("managedFields", None)
    return items


def secrets_of_files(directory: Path) -> set[str]:
    """Return the values in the instance's files of secrets."""
    values: set[str] = set()
    for name in _SECRET_FILES:
        try:
            content = (directory / name).read_text()
        except (OSError, ValueError):
            continue
        for line in content.splitlines():
            values |= {line.strip(), line.partition("=")[2].strip().strip("'\"")}
    return values - {""}


def files_of(directory: Path) -> list[Path]:
    """Return the instance's configuration, without its files of secrets."""
    hidden = {directory / name for name in _SECRET_FILES}
    found = {file for pattern in _CONFIGURATION for file in directory.glob(pattern)}
    return sorted(file for file in found - hidden if file.is_file())


def last_lines(log: Path, count: int) -> str:
    """Return the end of a log."""
    lines = log.read_text(errors="replace").splitlines()[-count:]
    return "\n".join(lines) + "\n"


def processes(directory: str) -> list[dict[str, Any]]:
    """Return the instance's processes on this machine."""
    found = []
    for member in find_members(directory):
        try:
            memory, command = member.process.memory_info().rss, member.process.cmdline()
        except psutil.Error:
            continue
        shown = [word if len(word) < 400 else f"{word[:400]}..." for word in command]
        found.append({**member.describe(), "memory_bytes": memory, "command": shown})
    return found


def versions(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this machine and its tools are."""
    commands = {
        "docker": ["docker", "version"],
        "kubectl": ["kubectl", "version", "--client"],
        "minikube": ["minikube", "version"],
    }
    wanted = {"local": (), "cluster": ("docker", "kubectl"), "minikube": tuple(commands)}
    memory = psutil.virtual_memory()
    return {
        "python": sys.version,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "memory_bytes": {"total": memory.total, "available": memory.available},
        "load": os.getloadavg(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "proxies": {name: HIDDEN for name in os.environ if name.lower().endswith("_proxy")},
        "tools": {name: said(commands[name]) for name in wanted[options["target"]]},
    }


def said(argv: list[str], limit_s: float = _COMMAND_S) -> str:
    """Return what a command prints, or why it printed nothing."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            argv, capture_output=True, text=True, timeout=limit_s, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except FileNotFoundError:
        return "not installed"
    except subprocess.TimeoutExpired:
        return f"no answer within {limit_s:.0f} s"
    return f"{done.stdout}{done.stderr}".strip()


def write(path: Path, name: str, files: Mapping[str, str]) -> None:
    """Write the archive, readable for its owner only, and give it its name at the end."""
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{name}-")
    try:
        with (
            os.fdopen(descriptor, "wb") as stream,
            tarfile.open(fileobj=stream, mode="w:gz") as tar,
            tempfile.TemporaryDirectory() as folder,
        ):
            for number, (title, text) in enumerate(sorted(files.items())):
                file = Path(folder, str(number))
                file.write_text(text)
                tar.add(file, f"{name}/{title}")
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
