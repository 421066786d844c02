#!/usr/bin/python
"""Find, freeze, thaw or end the processes of an instance."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.instance_process import (
    Member,
    daemon_of,
    end,
    find_members,
    freeze,
    in_order,
    is_frozen,
    orphans_of,
    thaw,
)
from ansible.module_utils.supervisor_rpc import program_states

DOCUMENTATION = r"""
---
module: instance_processes
short_description: Find, freeze, thaw or end the processes of an instance
description:
  - A process belongs to an instance when its environment says so
    (C(BITCOIN_PREDICTION_INSTANCE_DIR)); it is identified by its pid and its start time.
options:
  instance_dir: {description: Directory of the instance., type: path, required: true}
  socket: {description: Socket of the instance's supervisor., type: path, required: true}
  state:
    description: C(info) changes nothing. The supervisor itself is only ever ended, never frozen.
    type: str
    choices: [info, frozen, thawed, absent]
    default: info
  order:
    description: Services in the order in which they are frozen or ended; those not named go first.
    type: list
    elements: str
    default: [kafka, zookeeper]
  orphans_only: {description: Only processes that no supervisor looks after., type: bool, default: false}
  timeout: {description: Seconds for each step., type: float, default: 15}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
daemon: {description: Pid of the supervisor or null., type: int, returned: always}
programs: {description: What the supervisor knows, by name., type: dict, returned: always}
affected: {description: Processes that were changed., type: list, returned: always}
frozen: {description: Processes that are frozen now., type: list, returned: always}
orphans: {description: Processes without a supervisor., type: list, returned: always}
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "instance_dir": {"type": "path", "required": True},
            "socket": {"type": "path", "required": True},
            "state": {"choices": ["info", "frozen", "thawed", "absent"], "default": "info"},
            "order": {"type": "list", "elements": "str", "default": ["kafka", "zookeeper"]},
            "orphans_only": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 15.0},
        },
        supports_check_mode=True,
    )
    options = module.params
    members = find_members(options["instance_dir"])
    programs = program_states(options["socket"])
    daemon = daemon_of(members)
    try:
        affected = _apply(options, members, check=module.check_mode)
    except TimeoutError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(affected),
        affected=[member.describe() for member in affected],
        daemon=daemon.pid if daemon and programs is not None else None,
        programs={
            name: {"state": info["statename"], "pid": info["pid"]}
            for name, info in (programs or {}).items()
        },
        frozen=[m.describe() for m in members if is_frozen(m.process)],
        # A supervisor that does not answer looks after nobody: it goes with the orphans.
        orphans=[m.describe() for m in (members if programs is None else orphans_of(members))],
    )


def _apply(options: dict[str, object], members: list[Member], *, check: bool) -> list[Member]:
    """Return the processes that were changed, or would be."""
    order = [str(name) for name in options["order"]]  # type: ignore[attr-defined]
    timeout_s = float(str(options["timeout"]))
    affected: list[Member] = []
    if options["state"] == "frozen":
        workers = [m for m in members if m.service != "supervisor"]
        for group in in_order(workers, order):
            affected += _unfrozen(group) if check else freeze(group, timeout_s)
    elif options["state"] == "thawed":
        for group in reversed(in_order(members, order)):
            affected += _frozen(group) if check else thaw(group, timeout_s)
    elif options["state"] == "absent":
        answered = program_states(str(options["socket"])) is not None
        orphans_only = options["orphans_only"] and answered
        chosen = orphans_of(members) if orphans_only else members
        for group in in_order(chosen, order):
            affected += group if check else end(group, timeout_s)
    return affected


def _frozen(members: list[Member]) -> list[Member]:
    return [m for m in members if is_frozen(m.process)]


def _unfrozen(members: list[Member]) -> list[Member]:
    return [m for m in members if not is_frozen(m.process)]


if __name__ == "__main__":
    main()
