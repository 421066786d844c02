#!/usr/bin/python
"""Wait until services say that they are ready, or say why they are not."""

from __future__ import annotations

import json
import time
import urllib.error
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.loopback import ask
from ansible.module_utils.supervisor_rpc import RUNNING_STATES, program_states

DOCUMENTATION = r"""
---
module: services_ready
short_description: Wait until services are ready
options:
  services:
    description: Services with C(name), C(process) (as supervisorctl knows it) and C(ops_port).
    type: list
    elements: dict
    required: true
  role:
    description: Role that they must have (active or standby); empty takes any.
    type: str
    default: ""
  socket:
    description: Socket of the supervisor; a process that gave up ends the wait.
    type: path
    required: true
  log_dir:
    description: Directory of the logs; the last lines are shown.
    type: path
    required: true
  timeout: {description: Seconds., type: float, default: 60}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
waited: {description: Seconds until all were ready., type: float, returned: success}
"""

_POLL_S = 0.1
_REQUEST_S = 2.0
_STATE_EVERY_S = 0.5
_LOG_LINES = 20
_PATIENCE = 4  # looks at a process that is down; a single short crash passes in two


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "list", "elements": "dict", "required": True},
            "role": {"type": "str", "default": ""},
            "socket": {"type": "path", "required": True},
            "log_dir": {"type": "path", "required": True},
            "timeout": {"type": "float", "default": 60.0},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, waited=0.0)
    started = time.monotonic()
    waiting = {service["name"]: service for service in module.params["services"]}
    reasons: dict[str, str] = {}
    next_look = started
    downs: Counter[str] = Counter()
    while waiting:
        for name, service in list(waiting.items()):
            reasons[name] = probe(int(service["ops_port"]), module.params["role"])
            if not reasons[name]:
                del waiting[name]
        now = time.monotonic()
        if waiting and now >= next_look:
            next_look = now + _STATE_EVERY_S
            _fail_if_given_up(module, waiting, downs, now - started)
        if waiting and now - started > module.params["timeout"]:
            _fail(module, {name: reasons[name] for name in waiting}, now - started)
        if waiting:
            time.sleep(_POLL_S)
    module.exit_json(changed=False, waited=round(time.monotonic() - started, 1))


def probe(port: int, role: str) -> str:
    """Return why a service is not ready, or an empty string."""
    try:
        with ask(f"http://127.0.0.1:{port}/health/ready", _REQUEST_S) as answer:
            report = json.load(answer)
    except urllib.error.HTTPError as error:
        return describe(_json_of(error))
    except (OSError, ValueError) as error:
        return f"does not answer on its ops port {port} ({error})"
    if role and report.get("role") != role:
        return f"is {report.get('role')}, not {role}"
    return ""


def _json_of(error: urllib.error.HTTPError) -> dict[str, Any]:
    try:
        content = json.load(error)
    except ValueError:
        content = None
    return content if isinstance(content, dict) else {"checks": {"answer": {"detail": str(error)}}}


def describe(report: Mapping[str, Any]) -> str:
    """Return the checks of a readiness report that fail."""
    failing = [
        f"{name}: {c.get('detail', '')}"
        for name, c in report.get("checks", {}).items()
        if not c.get("ok")
    ]
    return "; ".join(failing) or str(report.get("status", "not ready"))


def _fail_if_given_up(
    module: Any, waiting: Mapping[str, Any], downs: Counter[str], waited_s: float
) -> None:
    states = program_states(module.params["socket"])
    if states is None:
        module.fail_json(msg="the supervisor has gone. Type: ansible-playbook startup.yml")
    infos = {name: states.get(service["process"], {}) for name, service in waiting.items()}
    downs.update(
        name for name, info in infos.items() if info.get("statename") not in RUNNING_STATES
    )
    ended = {
        name: f"{info.get('statename', 'unknown').lower()}: "
        f"{info.get('spawnerr') or info.get('description', '')}"
        for name, info in infos.items()
        if info.get("statename") == "FATAL" or downs[name] >= _PATIENCE
    }
    if ended:
        _fail(module, ended, waited_s)


def _fail(module: Any, reasons: Mapping[str, str], waited_s: float) -> None:
    parts = [
        f"{name} is not ready after {waited_s:.0f} s: {reason}" for name, reason in reasons.items()
    ]
    for name in reasons:
        lines = last_lines(Path(module.params["log_dir"], f"{name}.log"))
        parts += [f"last lines of {name}'s log:", *(f"  {line}" for line in lines)]
    module.fail_json(msg="\n".join(parts))


def last_lines(file: Path) -> list[str]:
    """Return the end of a log; empty when there is none."""
    try:
        return file.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    except OSError:
        return []


if __name__ == "__main__":
    main()
