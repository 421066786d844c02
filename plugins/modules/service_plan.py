#!/usr/bin/python
"""Compare what runs with the sources: what each service needs; changes nothing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.layer import code_hash, content_hash, is_complete, venv_hash
from ansible.module_utils.supervisor_rpc import RUNNING_STATES, program_states

DOCUMENTATION = r"""
---
module: service_plan
short_description: Find what each service needs so that it runs from the present sources
description:
  - A release is a code layer, a dependency layer and an environment. A slot's file C(env) says
    which release it holds.
options:
  catalogue:
    description: C(package), C(rollout) and C(environment) of each service.
    type: dict
    required: true
  names: {description: Services to look at., type: list, elements: str, required: true}
  environment: {description: What every service is told., type: dict, default: {}}
  ops_ports: {description: Two ops ports of each service., type: dict, required: true}
  sources: {description: Directory of the packages., type: path, required: true}
  shared:
    description: Packages that are part of every code layer.
    type: list
    elements: str
    default: [common]
  layers: {description: Directory of all layers., type: path, required: true}
  slots_dir: {description: Directory of the instance's slots., type: path, required: true}
  active: {description: Active slot by service., type: dict, default: {}}
  keep_release:
    description: Keep the release that a slot holds as long as its layers are complete (startup).
    type: bool
    default: false
  socket: {description: Socket of the supervisor., type: path, required: true}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
services: {description: One mapping for each service; see C(action)., type: list, returned: always}
missing_venvs: {description: Dependency layers that must be made., type: list, returned: always}
missing_assets: {description: Layers of JavaScript that must be made., type: list, returned: always}
missing_code: {description: Code layers that must be made., type: list, returned: always}
"""

_OF_THE_SLOT = ("SLOT", "OPS_PORT")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "catalogue": {"type": "dict", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "environment": {"type": "dict", "default": {}},
            "ops_ports": {"type": "dict", "required": True},
            "sources": {"type": "path", "required": True},
            "shared": {"type": "list", "elements": "str", "default": ["common"]},
            "layers": {"type": "path", "required": True},
            "slots_dir": {"type": "path", "required": True},
            "active": {"type": "dict", "default": {}},
            "keep_release": {"type": "bool", "default": False},
            "socket": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    states = {
        name: str(info["statename"])
        for name, info in (program_states(module.params["socket"]) or {}).items()
    }
    try:
        plans = [plan_service(name, module.params, states) for name in module.params["names"]]
    except OSError as error:
        module.fail_json(msg=f"cannot read the sources: {error}")
    module.exit_json(
        changed=False,
        services=plans,
        missing_venvs=_missing(plans, "venv"),
        missing_code=_missing(plans, "code"),
        missing_assets=_missing([plan for plan in plans if plan["assets"]], "assets"),
    )


def plan_service(
    name: str, options: Mapping[str, Any], states: Mapping[str, str]
) -> dict[str, Any]:
    """Return the service with its release, the slot it belongs into, and what to do.

    ``action``: none, start (the slot is not running), switch (the other slot takes over).
    ``refill``: the slot's ``env`` does not hold this release yet.
    """
    service, active = options["catalogue"][name], int(options["active"].get(name, 0))
    ops_ports = options["ops_ports"][name]
    held = read_environment(Path(options["slots_dir"], name, str(active), "env"))
    wanted = wanted_release(name, options)
    if options["keep_release"] and release_usable(held, Path(options["layers"])):
        wanted = release_of(held)
    running = [slot for slot in (0, 1) if states.get(process_name(name, slot)) in RUNNING_STATES]
    action, slot = decide(active, running, same=release_of(held) == wanted)
    environment = {**wanted, "SLOT": str(slot), "OPS_PORT": str(ops_ports[slot])}
    return {
        "name": name,
        "package": service["package"],
        "rollout": service["rollout"],
        "requirements": str(Path(options["sources"], service["package"], "requirements.txt")),
        "packages": [*options["shared"], service["package"]],
        "code": wanted["CODE_LAYER"],
        "venv": wanted["VENV_LAYER"],
        "assets": wanted.get(service.get("assets", {}).get("variable", "")),
        "assets_module": service.get("assets", {}).get("module"),
        "environment": environment,
        "action": action,
        "refill": environment
        != read_environment(Path(options["slots_dir"], name, str(slot), "env")),
        "active": active,
        "slot": slot,
        "stray": [other for other in running if other != active],
        "ops_port": ops_ports[slot],
        "process": process_name(name, slot),
        "other_process": process_name(name, 1 - slot),
    }


def decide(active: int, running: list[int], *, same: bool) -> tuple[str, int]:
    """Return (action, slot)."""
    if active not in running:
        return "start", active
    return ("none", active) if same else ("switch", 1 - active)


def wanted_release(name: str, options: Mapping[str, Any]) -> dict[str, str]:
    """Return the release that the present sources make: environment and layers."""
    sources, layers = Path(options["sources"]), Path(options["layers"])
    package = options["catalogue"][name]["package"]
    environment = {**options["environment"], **options["catalogue"][name]["environment"]}
    assets = options["catalogue"][name].get("assets")
    if assets:
        lock = content_hash(sources / assets["lock"])
        environment[assets["variable"]] = layers / "assets" / f"{name}-{lock}"
    code = code_hash(sources, [*options["shared"], package])
    venv = venv_hash(sources / package / "requirements.txt")
    return {
        **{key: str(value) for key, value in environment.items()},
        "SERVICE_NAME": name,
        "CODE_LAYER": str(layers / "code" / f"{name}-{code}"),
        "PYTHONPATH": str(layers / "code" / f"{name}-{code}"),
        "VENV_LAYER": str(layers / "venvs" / f"{name}-{venv}"),
    }


def release_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what belongs to the slot."""
    return {key: value for key, value in environment.items() if key not in _OF_THE_SLOT}


def release_usable(environment: Mapping[str, str], layers: Path) -> bool:
    """Return whether an environment names layers, and all of them are complete."""
    named = {value for value in environment.values() if layers in Path(value).parents}
    return bool(named) and all(is_complete(Path(layer)) for layer in named)


def read_environment(file: Path) -> dict[str, str]:
    """Return the variables of a slot's ``env``; empty when there is none."""
    try:
        words = shlex.split(file.read_text(), comments=True)
    except (OSError, ValueError):
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def process_name(service: str, slot: int) -> str:
    """Return the name by which supervisorctl knows a slot."""
    return f"{service}:{service}_{slot}"


def _missing(plans: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return each incomplete layer once."""
    found = {plan[kind]: plan for plan in plans if not is_complete(Path(plan[kind]))}
    keys = ("name", "requirements", "packages", "code", "venv", "assets_module")
    return [{"path": path, **{key: plan[key] for key in keys}} for path, plan in found.items()]


if __name__ == "__main__":
    main()
