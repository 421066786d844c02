#!/usr/bin/python
"""Start or stop several programs of a supervisor at the same time."""

from __future__ import annotations

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.supervisor_rpc import order_all, program_states

DOCUMENTATION = r"""
---
module: supervisor_programs
short_description: Start or stop several programs at the same time
description:
  - community.general.supervisorctl takes one program at a time and waits for each; together they
    take as long as the slowest. Started programs are not waited for (see services_ready).
options:
  names:
    description: Programs as supervisorctl knows them.
    type: list
    elements: str
    required: true
  state: {description: What they are to be., type: str, choices: [started, stopped], required: true}
  socket: {description: Socket of the supervisor., type: path, required: true}
  timeout: {description: Seconds for stopping., type: float, default: 30}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
affected: {description: Programs that were changed., type: list, returned: success}
"""

_UP = ("RUNNING", "STARTING")
_NOT_DOWN = (*_UP, "BACKOFF", "STOPPING")
_POLL_S = 0.1


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "state": {"choices": ["started", "stopped"], "required": True},
            "socket": {"type": "path", "required": True},
            "timeout": {"type": "float", "default": 30.0},
        },
        supports_check_mode=True,
    )
    socket, start = module.params["socket"], module.params["state"] == "started"
    up = states_in(socket, _UP if start else _NOT_DOWN)
    affected = [name for name in module.params["names"] if (name in up) != start]
    if not affected or module.check_mode:
        module.exit_json(changed=bool(affected), affected=affected)
    try:
        if start:  # one that waits to be tried again would go on waiting
            order_all(socket, sorted(states_in(socket, ("BACKOFF",)) & set(affected)), start=False)
        refusals = order_all(socket, affected, start=start)
    except OSError as error:
        module.fail_json(
            msg=f"the supervisor does not answer ({error}). Type: ansible-playbook startup.yml"
        )
    if refusals:
        module.fail_json(msg="; ".join(f"{name}: {why}" for name, why in refusals.items()))
    deadline = time.monotonic() + module.params["timeout"]
    while not start and (left := states_in(socket, _NOT_DOWN) & set(affected)):
        if time.monotonic() > deadline:
            module.fail_json(msg=f"still running: {', '.join(sorted(left))}")
        time.sleep(_POLL_S)
    module.exit_json(changed=True, affected=affected)


def states_in(socket: str, wanted: tuple[str, ...]) -> set[str]:
    """Return the programs whose state is one of ``wanted``."""
    states = program_states(socket) or {}
    return {name for name, info in states.items() if info["statename"] in wanted}


if __name__ == "__main__":
    main()
