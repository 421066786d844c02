#!/usr/bin/python
"""Decide what an instance is to be, and refuse what cannot be; changes nothing."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.instance_process import DAEMON, Member, find_members, is_frozen
from ansible.module_utils.maven_repository import default_repository, unreachable
from ansible.module_utils.port_holder import port_owner
from ansible.module_utils.urls import open_url

DOCUMENTATION = r"""
---
module: instance_plan
short_description: Decide an instance's target, ports and market data, or say what forbids it
description:
  - Reads what earlier builds recorded, what the user asked for and what the machine offers.
  - Fails with every obstacle in one message; changes nothing.
options:
  home: {description: Data home of all instances., type: path, required: true}
  instance: {description: Name of the instance., type: str, required: true}
  require_built: {description: Refuse an instance that was never built., type: bool, default: false}
  require_ports: {description: Refuse ports that a stranger holds., type: bool, default: true}
  format_version:
    description: Version of the data directory that this version writes.
    type: int
    required: true
  target: {description: What the user asked for., type: str, default: auto}
  targets:
    description: Targets that this version can do.
    type: list
    elements: str
    required: true
  ports:
    description: >-
      Ports of the first instance by name; C(ops) is the first of two for each of C(ops_services).
    type: dict
    required: true
  given_ports:
    description: Ports that the user asked for by C(NAME_port).
    type: dict
    default: {}
  ops_services:
    description: Services with two ops ports each; the order decides.
    type: list
    elements: str
    required: true
  market_data:
    description: What the user asked for; empty keeps what is recorded.
    type: str
    default: ""
  exchanges:
    description: Addresses to try when market_data is auto.
    type: list
    elements: str
    default: []
  settings: {description: Other settings to record (given ones only)., type: dict, default: {}}
  cluster: {description: What was said about the cluster (given only)., type: dict, default: {}}
  default_cluster: {description: Its defaults., type: dict, default: {}}
  builds_images:
    description: Whether a cluster must be given images that are built here.
    type: bool
    default: true
  default_settings: {description: Their defaults., type: dict, default: {}}
  layers:
    description: Directories whose absence means that something must be fetched.
    type: list
    elements: path
    default: []
  repository_url: {description: A mirror for jars., type: str, default: ""}
  free_mb: {description: Space needed when something must be fetched., type: int, default: 3000}
  free_mb_running: {description: Space needed otherwise., type: int, default: 200}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
plan: {description: The decisions., type: dict, returned: success}
"""

_PORT_STEP = 100
_BLOCKS = 50
_FAULTS = 5  # more would hide the first
_PROBE_S = 3.0
_SOCKET_LIMIT = 95  # bytes; macOS allows 103 and supervisord appends its pid while it binds
_PYTHONS = ((3, 11), (3, 13))
_TUNNELLED = ("web_app", "kafka_ui")  # what listens on this machine when all else is on a cluster


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "instance": {"type": "str", "required": True},
            "require_built": {"type": "bool", "default": False},
            "require_ports": {"type": "bool", "default": True},
            "format_version": {"type": "int", "required": True},
            "target": {"type": "str", "default": "auto"},
            "targets": {"type": "list", "elements": "str", "required": True},
            "ports": {"type": "dict", "required": True},
            "given_ports": {"type": "dict", "default": {}},
            "ops_services": {"type": "list", "elements": "str", "required": True},
            "market_data": {"type": "str", "default": ""},
            "exchanges": {"type": "list", "elements": "str", "default": []},
            "settings": {"type": "dict", "default": {}},
            "default_settings": {"type": "dict", "default": {}},
            "cluster": {"type": "dict", "default": {}},
            "default_cluster": {"type": "dict", "default": {}},
            "builds_images": {"type": "bool", "default": True},
            "layers": {"type": "list", "elements": "path", "default": []},
            "repository_url": {"type": "str", "default": ""},
            "free_mb": {"type": "int", "default": 3000},
            "free_mb_running": {"type": "int", "default": 200},
        },
        supports_check_mode=True,
    )
    options = module.params
    directory = Path(options["home"], "instances", options["instance"])
    recorded = read_record(directory)
    faults = host_faults(options, directory, recorded)
    if faults:
        module.fail_json(msg="\n".join(faults))
    others = recorded_instances(directory)
    members = find_members(str(directory)) if recorded else []
    plan = {**make_plan(options, directory, recorded, others), **describe_mode(recorded, members)}
    if options["require_ports"]:
        faults = port_faults(listening(plan), str(directory), options)
    if faults:
        module.fail_json(msg="\n".join(faults))
    module.exit_json(changed=False, plan=plan)


def describe_mode(recorded: Mapping[str, Any], members: Iterable[Member]) -> dict[str, Any]:
    """Return ``mode`` (absent, stopped, paused, services, running or damaged) and ``services``."""
    found = list(members)
    names = {member.service for member in found}
    frozen = {member.service for member in found if is_frozen(member.process)}
    if not recorded:
        mode = "absent"
    elif not found:
        mode = "stopped"
    elif DAEMON not in names:
        mode = "damaged"
    elif DAEMON in frozen:
        mode = "paused" if names == frozen else "damaged"
    else:
        mode = "running" if names - {DAEMON, "zookeeper", "kafka"} else "services"
    return {"mode": mode, "services": sorted(names)}


def read_record(directory: Path) -> dict[str, Any]:
    """Return instance.json's content; empty when the instance was never built."""
    try:
        content = json.loads((directory / "instance.json").read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def recorded_instances(directory: Path) -> list[dict[str, Any]]:
    """Return the records of all other instances."""
    files = directory.parent.glob("*/instance.json") if directory.parent.is_dir() else []
    return [
        record
        for file in files
        if file.parent != directory and (record := read_record(file.parent))
    ]


def host_faults(
    options: Mapping[str, Any], directory: Path, recorded: Mapping[str, Any]
) -> list[str]:
    """Return what about this machine or this instance forbids going on."""
    name = options["instance"]
    extra = "" if name == "default" else f' ARGS="-e instance={name}"'
    faults = []
    if not _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        faults.append(
            f"Python 3.11 to 3.13 is needed, this is {platform.python_version()}. "
            "Type: make build PYTHON=python3.12 (after: rm -r .venv)"
        )
    if options["require_built"] and not recorded:
        faults.append(f"instance '{name}' has not been built yet. Type: make build{extra}")
    version = recorded.get("format_version", 0)
    if version > options["format_version"]:
        faults.append(
            f"the data of instance '{name}' was written by a newer version (format {version}, this "
            f"version knows {options['format_version']}). Use that version, or another instance: "
            "-e instance=NAME"
        )
    target = target_of(options, recorded)[0]
    if len(str(directory / "run" / "supervisor.sock").encode()) > _SOCKET_LIMIT:
        faults.append(
            f"{directory} is too long a path for a Unix socket: "
            "export XDG_DATA_HOME=SHORTER_DIRECTORY, or choose a shorter instance name"
        )
    return (
        faults
        + target_faults(options)
        + moved_faults(options, recorded)
        + cluster_faults(options, recorded, target)
        + replay_faults(options, recorded, target)
        + needs_faults(options, directory, target)
    )


def needs_faults(options: Mapping[str, Any], directory: Path, target: str = "local") -> list[str]:
    """Return what the machine lacks: space, and a network where something must be fetched."""
    layers = options["layers"] if target == "local" else []
    fetching = any(not os.path.exists(layer) for layer in layers)
    faults = space_faults(options, directory, fetching=fetching)
    if fetching and not faults:
        reason = unreachable(options["repository_url"] or default_repository())
        if reason:
            faults.append(
                f"jars and packages must be fetched, and no network answers ({reason}). "
                "Connect it, or name a proxy (export HTTPS_PROXY=ADDRESS); then type: make build"
            )
    return faults


def moved_faults(options: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[str]:
    """Return a message when an instance would leave its data behind on another target."""
    wanted, before = options["target"], recorded.get("target")
    if not before or wanted in ("auto", before):
        return []
    name = options["instance"]
    return [
        (
            f"instance '{name}' is on target {before}, where its data are. Take another instance "
            f"for {wanted}: -e instance=NAME, or delete this one first: ansible-playbook "
            f"shutdown.yml -e mode=delete -e instance={name}"
        )
    ]


def cluster_faults(
    options: Mapping[str, Any], recorded: Mapping[str, Any], target: str
) -> list[str]:
    """Return a message about what has no meaning for the target, or is wanting."""
    given = sorted(options["cluster"])
    if given and target == "local":
        return [
            (
                f"{', '.join(given)}: only for target=minikube or target=cluster. "
                "Leave it out, or add: -e target=cluster"
            )
        ]
    stray = sorted({"kubeconfig", "kube_context", "registry"} & set(given))
    if stray and target == "minikube":
        return [
            f"{', '.join(stray)}: only for target=cluster; minikube brings its own. Leave it out"
        ]
    known = {**recorded.get("cluster", {}), **options["cluster"]}
    if target == "cluster" and options["builds_images"] and not known.get("registry"):
        return [
            (
                "target=cluster needs a registry that its nodes can pull from. "
                "Add: -e registry=registry.example.com/bitcoin"
            )
        ]
    return []


def replay_faults(
    options: Mapping[str, Any], recorded: Mapping[str, Any], target: str = "local"
) -> list[str]:
    """Return a message when a replay has nothing to play, or a recording would not be played."""
    feed = options["market_data"] or recorded.get("market_data", {}).get("feed")
    given = options["settings"].get("replay_file")
    if feed == "replay" and target != "local":
        return [
            (
                f"market_data=replay plays a file of this machine, which {target} cannot see. "
                "Type: -e target=local -e instance=replay, or -e market_data=simulated"
            )
        ]
    if feed == "replay" and not (given or recorded.get("settings", {}).get("replay_file")):
        return ["market_data=replay needs a recording. Add: -e replay_file=/path/to/recording.csv"]
    if given and feed != "replay":
        return ["replay_file is only played by market_data=replay. Add: -e market_data=replay"]
    return []


def target_faults(options: Mapping[str, Any]) -> list[str]:
    """Return a message when the wanted target is not one of this version's."""
    wanted = options["target"]
    if wanted in ("auto", *options["targets"]):
        return []
    available = ", ".join(options["targets"])
    message = f"target={wanted} is not available in this version, which has: {available}. "
    return [message + "Type: ansible-playbook build.yml -e target=local"]


def space_faults(options: Mapping[str, Any], directory: Path, *, fetching: bool) -> list[str]:
    """Return messages when the data home cannot be written or has too little space."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    advice = "choose another data home: export XDG_DATA_HOME=DIRECTORY"
    if not os.access(existing, os.W_OK):
        return [f"{existing} is not writable. Make it so, or {advice}"]
    needed = options["free_mb"] if fetching else options["free_mb_running"]
    free = shutil.disk_usage(existing).free // 1_000_000
    if free < needed:
        space = f"{existing} has {free} MB free and {needed} MB are needed"
        return [f"{space}. Free some space, or {advice}"]
    return []


def make_plan(
    options: Mapping[str, Any],
    directory: Path,
    recorded: Mapping[str, Any],
    others: Iterable[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return every decision; asks the exchanges only when that decides something."""
    target, target_reason = target_of(options, recorded)
    block = choose_block(options, directory, recorded, others)
    market = decide_market_data(
        options["market_data"], recorded, lambda: first_answer(options["exchanges"])
    )
    settings = {
        **options["default_settings"],
        **recorded.get("settings", {}),
        **options["settings"],
    }
    record = {
        "format_version": options["format_version"],
        "instance": options["instance"],
        "target": target,
        "port_block": block,
        "ports": ports_of(options, recorded, block),
        "market_data": market,
        "settings": settings,
    }
    if target != "local":
        record["cluster"] = {
            **options["default_cluster"],
            **recorded.get("cluster", {}),
            **options["cluster"],
        }
    return {
        "dir": str(directory),
        "built": bool(recorded),
        "target": target,
        "target_reason": target_reason,
        "ports": record["ports"],
        "ops_ports": ops_ports(options["ops_services"], record["ports"]["ops"]),
        "market_data": market,
        "settings": settings,
        "cluster": record.get("cluster", {}),
        "slots": recorded.get("slots", {}),
        "endpoints": endpoints(
            ops_ports(options["ops_services"], record["ports"]["ops"]), recorded.get("slots", {})
        ),
        "known_offsets": recorded.get("known_offsets", {}),
        "record": record,
    }


def target_of(options: Mapping[str, Any], recorded: Mapping[str, Any]) -> tuple[str, str]:
    """Return the target and why, as this machine and the record have it."""
    return decide_target(
        options["target"], recorded.get("target"), options["targets"], shutil.which("minikube")
    )


def decide_target(
    wanted: str, recorded: str | None, available: list[str], minikube: str | None
) -> tuple[str, str]:
    """Return (target, why)."""
    if wanted != "auto":
        return wanted, f"asked for by -e target={wanted}"
    if recorded:
        return recorded, "recorded by an earlier build"
    if minikube and "minikube" in available:
        return "minikube", f"{minikube} is installed"
    if minikube:
        return "local", "this version does not use the minikube that is installed"
    return "local", "no minikube command is installed"


def decide_market_data(wanted: str, recorded: Mapping[str, Any], probe: Any) -> dict[str, str]:
    """Return ``feed`` and why; ``probe`` returns an exchange that answers, or None."""
    if not wanted and "feed" in recorded.get("market_data", {}):
        return {**recorded["market_data"]}
    if wanted not in ("", "auto"):
        return {"feed": wanted, "reason": f"asked for by -e market_data={wanted}"}
    answering = probe()
    if answering:
        return {"feed": "live", "reason": f"{answering} answers"}
    return {"feed": "simulated", "reason": "no exchange answers from here"}


def first_answer(addresses: list[str]) -> str | None:
    """Return the first of ``addresses`` that answers with success, tried all at once."""
    if not addresses:
        return None

    def answers(address: str) -> str | None:
        try:
            with open_url(address, timeout=_PROBE_S) as response:
                return address if response.status == 200 else None
        except Exception:  # noqa: BLE001 - whatever goes wrong means that it does not answer
            return None

    with ThreadPoolExecutor(len(addresses)) as pool:
        found = next((address for address in pool.map(answers, addresses) if address), None)
    return found.split("/")[2] if found else None


def choose_block(
    options: Mapping[str, Any],
    directory: Path,
    recorded: Mapping[str, Any],
    others: Iterable[Mapping[str, Any]],
) -> int:
    """Return the instance's block of ports: 0 for the default one, else the lowest that is free."""
    if "port_block" in recorded:
        return int(recorded["port_block"])
    if options["instance"] == "default":
        return 0
    taken = {record.get("port_block") for record in others}
    for block in range(1, _BLOCKS):
        named = ports_of(options, {}, block)
        ports = [*named.values(), *ops_range(named, options)]
        if block not in taken and all(port_owner(port, str(directory)) is None for port in ports):
            return block
    return _BLOCKS


def ports_of(options: Mapping[str, Any], recorded: Mapping[str, Any], block: int) -> dict[str, int]:
    """Return each named port: as given, else as recorded, else by block."""
    base = {name: int(port) + _PORT_STEP * block for name, port in options["ports"].items()}
    given = {
        name.removesuffix("_port"): int(port)
        for name, port in options["given_ports"].items()
        if port is not None
    }
    kept = {name: port for name, port in recorded.get("ports", {}).items() if name in base}
    return {**base, **kept, **given}


def ops_ports(services: list[str], first: int) -> dict[str, list[int]]:
    """Return the two ops ports of each service, one for each slot."""
    return {name: [first + 2 * i, first + 2 * i + 1] for i, name in enumerate(services)}


def endpoints(
    ports: Mapping[str, list[int]], slots: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    """Return each service's active slot: its name for supervisorctl and its ops port."""
    return {
        name: {
            "name": name,
            "process": f"{name}:{name}_{slots.get(name, 0)}",
            "ops_port": pair[int(slots.get(name, 0))],
        }
        for name, pair in ports.items()
    }


def ops_range(ports: Mapping[str, int], options: Mapping[str, Any]) -> range:
    """Return the ops ports beside the first."""
    return range(ports["ops"] + 1, ports["ops"] + 2 * len(options["ops_services"]))


def listening(plan: Mapping[str, Any]) -> dict[str, int]:
    """Return the ports that this machine listens on."""
    if plan["target"] == "local":
        return dict(plan["ports"])
    return {name: port for name, port in plan["ports"].items() if name in _TUNNELLED}


def port_faults(ports: Mapping[str, int], directory: str, options: Mapping[str, Any]) -> list[str]:
    """Return a message for each port that another program holds, or that is named twice."""
    faults = []
    for name, port in ports.items():
        variable = f"{name}_port"
        twins = [other for other, number in ports.items() if number == port and other < name]
        if twins:
            faults.append(
                f"{variable}={port} is the same as {twins[0]}_port: choose -e {variable}={port + 1}"
            )
        owner = port_owner(port, directory)
        if owner:
            faults.append(
                f"port {port} ({variable}) is taken by {owner}. Choose another: "
                f"-e {variable}={free_port(port + 1, ports.values())}"
            )
    for port in ops_range(ports, options) if "ops" in ports else ():
        owner = port_owner(port, directory)
        if owner:
            faults.append(
                f"port {port} is taken by {owner}. Choose another range: -e ops_port={port + 20}"
            )
    return faults[:_FAULTS]


def free_port(start: int, avoid: Iterable[int]) -> int:
    """Return the first port from ``start`` on that nobody uses."""
    taken = set(avoid)
    return next(p for p in range(start, 65536) if p not in taken and port_owner(p, "") is None)


if __name__ == "__main__":
    main()
