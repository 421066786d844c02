#!/usr/bin/python
"""Wait until ZooKeeper and Kafka really serve."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kafka_cluster import (
    admin_client,
    ask_zookeeper,
    end_offsets,
    registered_brokers,
    under_replicated,
)
from ansible.module_utils.supervisor_rpc import program_states

DOCUMENTATION = r"""
---
module: kafka_ready
short_description: Wait until ZooKeeper and Kafka really serve
description:
  - ZooKeeper answers ruok; each broker is registered there by a living session; metadata names
    the brokers and a controller; no partition is under-replicated; end offsets are not behind.
options:
  zookeeper: {description: host:port of ZooKeeper., type: str, required: true}
  bootstrap:
    description: host:port of Kafka; empty looks at ZooKeeper alone.
    type: str
    default: ""
  brokers: {description: Ids of the brokers., type: list, elements: int, default: [0]}
  offsets:
    description: Ends of C(topic-partition) that must be there at least.
    type: dict
    default: {}
  topics:
    description: Topics whose end offsets are returned.
    type: list
    elements: str
    default: []
  timeout: {description: Seconds., type: float, default: 60}
  socket: {description: Socket of the supervisor; a program that gave up ends the wait., type: path}
  log_dir: {description: Directory of the logs; their last errors are shown., type: path}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
waited: {description: Seconds until all was well., type: float, returned: success}
offsets: {description: End offsets by C(topic-partition)., type: dict, returned: success}
"""

_POLL_S = 0.1
_HINTS = {
    "InconsistentClusterIdException": (
        "Kafka's data and ZooKeeper's data belong to different clusters: one of the directories "
        "was lost or replaced. Restore it, or type: ansible-playbook shutdown.yml -e mode=delete, "
        "then make build"
    ),
    "java.net.BindException": "its port is taken: choose another, for example -e kafka_port=9093",
    "No space left on device": "the disk is full: free some space, then run this again",
    "OutOfMemoryError": "its heap is too small: raise kafka_heap",
}
_LOG_TAIL_BYTES = 20_000


class NotYetError(Exception):
    """Something is not ready; the message says what."""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "zookeeper": {"type": "str", "required": True},
            "bootstrap": {"type": "str", "default": ""},
            "brokers": {"type": "list", "elements": "int", "default": [0]},
            "offsets": {"type": "dict", "default": {}},
            "topics": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 60.0},
            "socket": {"type": "path"},
            "log_dir": {"type": "path"},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, waited=0.0, offsets={})
    started = time.monotonic()
    deadline = started + module.params["timeout"]
    while True:
        try:
            offsets = check(module.params)
        except NotYetError as error:
            hint = _why(module.params)
            if time.monotonic() > deadline or hint:
                module.fail_json(
                    msg=f"{error} after {time.monotonic() - started:.0f} s. {hint}".strip()
                )
            time.sleep(_POLL_S)
        else:
            module.exit_json(
                changed=False, waited=round(time.monotonic() - started, 1), offsets=offsets
            )


def check(options: dict[str, Any]) -> dict[str, int]:
    """Return end offsets when everything is well; raises `NotYetError`."""
    wanted = set(options["brokers"])
    try:
        healthy = ask_zookeeper(options["zookeeper"], "ruok") == "imok"
        dump = ask_zookeeper(options["zookeeper"], "dump") if options["bootstrap"] else ""
    except OSError as error:
        raise NotYetError(
            f"ZooKeeper at {options['zookeeper']} does not answer ({error})"
        ) from error
    if not healthy:
        raise NotYetError(f"ZooKeeper at {options['zookeeper']} is not serving")
    if not options["bootstrap"]:
        return {}
    missing = wanted - registered_brokers(dump)
    if missing:
        raise NotYetError(f"Kafka broker {min(missing)} is not registered in ZooKeeper")
    return _check_broker(options, wanted)


def _check_broker(options: dict[str, Any], wanted: set[int]) -> dict[str, int]:
    from kafka.errors import KafkaError

    try:
        with admin_client(options["bootstrap"], timeout_ms=2000) as client:
            cluster = client.describe_cluster()
            present = {broker["broker_id"] for broker in cluster["brokers"]}
            if not wanted <= present or cluster["controller_id"] not in present:
                raise NotYetError(f"Kafka knows brokers {sorted(present)}, not {sorted(wanted)}")
            behind = under_replicated(client.describe_topics())
            if behind:
                raise NotYetError(f"partitions without all replicas: {', '.join(behind[:5])}")
            names = {where.rpartition("-")[0] for where in options["offsets"]} | set(
                options["topics"]
            )
            offsets = end_offsets(client, sorted(names)) if names else {}
    except (KafkaError, OSError) as error:
        raise NotYetError(f"Kafka at {options['bootstrap']} does not answer ({error})") from error
    lost = [where for where, end in options["offsets"].items() if offsets.get(where, -1) < int(end)]
    if lost:
        raise NotYetError(f"end offsets are behind those recorded: {', '.join(sorted(lost))}")
    return offsets


def _why(options: dict[str, Any]) -> str:
    """Return why waiting longer is of no use, or an empty string."""
    states = program_states(options["socket"]) if options["socket"] else None
    for name in ("zookeeper", "kafka"):
        state = (states or {}).get(name, {}).get("statename", "")
        if state == "FATAL":
            return f"{name} gave up starting: {explain(_tail(options['log_dir'], name))}"
        if state == "BACKOFF" and (hint := known_cause(_tail(options["log_dir"], name))):
            return f"{name}: {hint}"
    return ""


def known_cause(log: str) -> str:
    """Return what to do about a known fatal error in ``log``, or an empty string."""
    return next((hint for text, hint in _HINTS.items() if text in log), "")


def explain(log: str) -> str:
    """Return the known cause, else the last line that reports an error."""
    errors = [line for line in log.splitlines() if " ERROR " in line or " FATAL " in line]
    return known_cause(log) or (errors[-1] if errors else "see its log")


def _tail(log_dir: str | None, name: str) -> str:
    """Return the end of a program's log, from its last start on."""
    try:
        with (Path(log_dir or "/nonexistent") / f"{name}.log").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _LOG_TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    main()
