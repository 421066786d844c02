#!/usr/bin/python
"""Look at the tunnels of an instance, wait until they are open, or refuse a port's other holder."""

from __future__ import annotations

import os
import time
import urllib.error
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.instance_process import Member, find_members
from ansible.module_utils.loopback import ask as request
from ansible.module_utils.port_holder import port_owner
from ansible.module_utils.supervisor_rpc import program_states

DOCUMENTATION = r"""
---
module: tunnels_state
short_description: Look at the tunnels of an instance
description:
  - Changes nothing. A tunnel is known by its environment, its pid and its start time; another
    program on its port is never taken for it.
options:
  ports: {description: Port of this machine by Service., type: dict, required: true}
  instance_dir: {description: Directory of the instance., type: path, required: true}
  socket: {description: Socket of the supervisor., type: path, required: true}
  version:
    description: What C(TUNNEL_VERSION) of a tunnel's environment is to be.
    type: str
    default: ""
  refuse_strangers:
    description: Fail when another program holds a port.
    type: bool
    default: false
  wait: {description: Wait until all are open and answer., type: bool, default: false}
  timeout: {description: Seconds to wait., type: float, default: 20}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
tunnels:
  description: >-
    C(service) C(port) C(url) C(state) C(pid) C(uptime_s) C(answer) of each, and the C(version) of
    one that a supervisor looks after.
  type: list
  returned: always
as_wanted:
  description: Whether a living supervisor has all of them open, of this version, and they answer.
  type: bool
  returned: always
"""

_POLL_S = 0.2
_ASK_S = 3.0
_LOG_LINES = 5
_VERSION = "TUNNEL_VERSION"  # as roles/tunnels gives it to the program
_DONE = ("FATAL", "BACKOFF")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "dict", "required": True},
            "instance_dir": {"type": "path", "required": True},
            "socket": {"type": "path", "required": True},
            "version": {"type": "str", "default": ""},
            "refuse_strangers": {"type": "bool", "default": False},
            "wait": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 20.0},
        },
        supports_check_mode=True,
    )
    options = module.params
    if options["refuse_strangers"]:
        refuse(module)
    found = look(options)
    deadline = time.monotonic() + options["timeout"]
    while options["wait"] and not module.check_mode and not all(is_well(each) for each in found):
        failed = [each for each in found if each["state"].upper() in _DONE]
        if failed or time.monotonic() > deadline:
            break
        time.sleep(_POLL_S)
        found = look(options)
    closed = [each for each in found if each["state"] != "open"]
    if options["wait"] and closed and not module.check_mode:
        module.fail_json(msg="\n".join(complaint(each, options) for each in closed))
    as_wanted = all(is_as_wanted(each, options["version"]) for each in found)
    module.exit_json(changed=False, tunnels=found, as_wanted=as_wanted)


def refuse(module: Any) -> None:
    """End the module when another program holds a port, and say which and what to type."""
    directory = module.params["instance_dir"]
    faults = []
    for service, port in module.params["ports"].items():
        other = port_owner(int(port), directory)
        if other:
            option = f"{service.replace('-', '_')}_port"
            faults.append(
                f"port {port} of the tunnel to {service} is taken by {other}. End that program, or "
                f"type: ansible-playbook build.yml -e {option}={int(port) + 1}"
            )
    if faults:
        module.fail_json(msg="\n".join(faults))


def look(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each tunnel is now; those that are open are asked for their page."""
    members = {member.service: member for member in find_members(options["instance_dir"])}
    states = program_states(options["socket"]) or {}
    found = [
        describe(service, int(port), members.get(f"tunnel-{service}"), states)
        for service, port in options["ports"].items()
    ]
    with ThreadPoolExecutor(max(1, len(found))) as pool:
        for each, answer in zip(found, pool.map(ask, found), strict=True):
            each["answer"] = answer
    return found


def describe(
    service: str, port: int, member: Member | None, states: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return one tunnel: C(open) when its own process listens on its port."""
    told = str(states.get(f"tunnel-{service}", {}).get("statename", "stopped")).lower()
    state, pid, uptime, version = told, None, None, ""
    if member is not None:
        pid = member.process.pid
        if told == "running":
            version = version_of(member.process)
        uptime = max(0.0, time.time() - member.process.create_time())  # noqa: TID251
        state = "open" if listens(member.process, port) else told
    return {
        "service": service,
        "port": port,
        "url": f"http://localhost:{port}",
        "state": "starting" if state == "running" else state,
        "pid": pid,
        "uptime_s": uptime,
        "version": version,
    }


def version_of(process: psutil.Process) -> str:
    """Return which version of the tunnel a process runs."""
    try:
        return process.environ().get(_VERSION, "")
    except psutil.Error:
        return ""


def listens(process: psutil.Process, port: int) -> bool:
    """Return whether this very process holds the port."""
    try:
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr[1] == port
            for connection in process.net_connections("tcp")
        )
    except psutil.Error:
        return False


def ask(tunnel: Mapping[str, Any]) -> str:
    """Return what the page behind an open tunnel says."""
    if tunnel["state"] != "open":
        return "-"
    try:
        with request(f"http://127.0.0.1:{tunnel['port']}/", _ASK_S) as answer:
            return "answers" if answer.status < 400 else f"HTTP {answer.status}"
    except urllib.error.HTTPError as error:
        text = error.read(300).decode(errors="replace").partition("\n")[0]
        return f"HTTP {error.code}: {text}"
    except OSError as error:
        return f"does not answer ({error})"


def is_well(tunnel: Mapping[str, Any]) -> bool:
    """Return whether nothing is left to wait for."""
    return bool(tunnel["state"] == "open" and tunnel["answer"] == "answers")


def is_as_wanted(tunnel: Mapping[str, Any], version: str) -> bool:
    """Return whether nothing is left to do: well, and looked after in this version."""
    return is_well(tunnel) and tunnel["version"] == version


def complaint(tunnel: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Return why a tunnel is not open, with the end of its log."""
    log = Path(options["instance_dir"], "log", f"tunnel-{tunnel['service']}.log")
    text = log.read_text(errors="replace") if os.path.exists(log) else ""
    lines = [f"  {line}" for line in text.splitlines()[-_LOG_LINES:]]
    other = port_owner(tunnel["port"], options["instance_dir"])
    why = f"port {tunnel['port']} is taken by {other}" if other else f"it is {tunnel['state']}"
    return "\n".join([f"the tunnel to {tunnel['service']} is not open: {why}", *lines])


if __name__ == "__main__":
    main()
