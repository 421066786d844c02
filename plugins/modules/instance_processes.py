#!/usr/bin/python
"""Find, freeze, thaw or end the processes of an instance."""

from __future__ import annotations

from typing import Any

import psutil
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.instance_process import (
    Member,
    answering_daemon,
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
    description: C(info) changes nothing; C(thawed) goes through the order backwards.
    type: str
    choices: [info, frozen, thawed, absent]
    default: info
  order:
    description: Services in the order in which they are frozen or ended; those not named go first.
    type: list
    elements: str
    default: [kafka, zookeeper, supervisor]
  services:
    description: Only these services (frozen, thawed); empty takes all.
    type: list
    elements: str
    default: []
  besides: {description: All but these services (frozen)., type: list, elements: str, default: []}
  orphans_only:
    description: Only processes that no supervisor looks after.
    type: bool
    default: false
  timeout: {description: Seconds for each step., type: float, default: 15}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
daemon: {description: Pid of the supervisor or null., type: int, returned: always}
programs: {description: What the supervisor knows, by name., type: dict, returned: always}
affected: {description: Processes that were changed., type: list, returned: always}
members: {description: All processes of the instance., type: list, returned: always}
frozen: {description: Processes that are frozen now., type: list, returned: always}
orphans: {description: Processes without a supervisor., type: list, returned: always}
"""


_ORDER = ["kafka", "zookeeper", "supervisor"]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "instance_dir": {"type": "path", "required": True},
            "socket": {"type": "path", "required": True},
            "state": {"choices": ["info", "frozen", "thawed", "absent"], "default": "info"},
            "order": {"type": "list", "elements": "str", "default": _ORDER},
            "services": {"type": "list", "elements": "str", "default": []},
            "besides": {"type": "list", "elements": "str", "default": []},
            "orphans_only": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 15.0},
        },
        supports_check_mode=True,
    )
    options = module.params
    members = find_members(options["instance_dir"])
    try:
        affected = _apply(options, members, check=module.check_mode)
    except TimeoutError as error:
        module.fail_json(msg=str(error))
    daemon = answering_daemon(members)
    programs = program_states(options["socket"]) if daemon else None
    module.exit_json(
        changed=bool(affected),
        affected=[member.describe() for member in affected],
        daemon=daemon.pid if daemon and programs is not None else None,
        programs={
            name: {"state": info["statename"], "pid": info["pid"]}
            for name, info in (programs or {}).items()
        },
        members=[m.describe() for m in members if m.process.is_running()],
        frozen=[m.describe() for m in _frozen(members)],
        orphans=[m.describe() for m in _strays(members, answered=programs is not None)],
    )


def _strays(members: list[Member], *, answered: bool) -> list[Member]:
    """Return the orphans; a supervisor that does not answer looks after nobody and is one of them.

    One that is frozen will answer when it is thawed.
    """
    daemon = daemon_of(members)
    wedged = daemon is not None and not answered and not is_frozen(daemon)
    return members if wedged else orphans_of(members)


def _apply(options: dict[str, Any], members: list[Member], *, check: bool) -> list[Member]:
    """Return the processes that were changed, or would be."""
    order, timeout_s = options["order"], options["timeout"]
    affected: list[Member] = []
    if options["state"] == "frozen":
        for group in in_order(_chosen(options, members), order):
            affected += _unfrozen(group) if check else freeze(group, timeout_s)
    elif options["state"] == "thawed":
        for group in reversed(in_order(_chosen(options, members), order)):
            affected += _frozen(group) if check else thaw(group, timeout_s)
    elif options["state"] == "absent":
        chosen = members
        if options["orphans_only"]:
            answered = program_states(options["socket"]) is not None
            chosen = _strays(members, answered=answered)
        affected = list(chosen) if check else _end(chosen, order, timeout_s)
    return affected


def _chosen(options: dict[str, Any], members: list[Member]) -> list[Member]:
    """Return the members that the options ``services`` and ``besides`` name."""
    only, besides = options["services"], options["besides"]
    return [m for m in members if (not only or m.service in only) and m.service not in besides]


def _end(members: list[Member], order: list[str], timeout_s: float) -> list[Member]:
    """End ``members``: their supervisor does it in its order; what is left then, one by one."""
    daemon = answering_daemon(members)
    if daemon:
        daemon.terminate()
        psutil.wait_procs([member.process for member in members], timeout=timeout_s)
    for group in in_order([m for m in members if m.process.is_running()], order):
        end(group, timeout_s)
    return members


def _frozen(members: list[Member]) -> list[Member]:
    return [m for m in members if is_frozen(m.process)]


def _unfrozen(members: list[Member]) -> list[Member]:
    return [m for m in members if not is_frozen(m.process)]


if __name__ == "__main__":
    main()
