#!/usr/bin/python
"""Collect everything about an instance that one screen shows; changes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.instance_process import DAEMON, find_members, is_frozen
from ansible.module_utils.kafka_cluster import admin_client
from ansible.module_utils.observation import (
    directory_bytes,
    fetch,
    kafka_facts,
    restarts,
    store_facts,
    usage,
)
from ansible.module_utils.supervisor_rpc import program_states

DOCUMENTATION = r"""
---
module: system_status
short_description: Collect everything about an instance that one screen shows
options:
  instance_dir: {description: Directory of the instance., type: path, required: true}
  socket: {description: Socket of the supervisor., type: path, required: true}
  mode: {description: Mode as the plan found it., type: str, required: true}
  services:
    description: Our services with C(name) C(process) and C(ops_port).
    type: list
    elements: dict
    required: true
  platform: {description: Other programs., type: list, elements: str, default: [zookeeper, kafka]}
  bootstrap: {description: host:port of Kafka; empty leaves it out., type: str, required: true}
  topics: {description: Topics to show., type: list, elements: str, required: true}
  database: {description: File of the store., type: path, required: true}
  feed: {description: Kind of market data that is shown., type: str, required: true}
  symbols: {description: Symbols that are shown., type: list, elements: str, required: true}
  urls: {description: Addresses to try., type: dict, default: {}}
  startup: {description: Command that starts the instance., type: str, required: true}
  logs: {description: Command that shows logs., type: str, required: true}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
status: {description: What was found., type: dict, returned: always}
problems: {description: What is wrong and what to type., type: list, returned: always}
"""

_CPU_INTERVAL_S = 0.3
_LAG_LIMIT = 100
_TICK_AGE_LIMIT_S = 15.0
_ASLEEP = {
    "paused": "the instance is paused",
    "stopped": "the instance is stopped",
    "services": "the applications are stopped",
    "damaged": "the supervisor has gone and left processes behind, or some are frozen",
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "instance_dir": {"type": "path", "required": True},
            "socket": {"type": "path", "required": True},
            "mode": {"type": "str", "required": True},
            "services": {"type": "list", "elements": "dict", "required": True},
            "platform": {"type": "list", "elements": "str", "default": ["zookeeper", "kafka"]},
            "bootstrap": {"type": "str", "required": True},
            "topics": {"type": "list", "elements": "str", "required": True},
            "database": {"type": "path", "required": True},
            "feed": {"type": "str", "required": True},
            "symbols": {"type": "list", "elements": "str", "required": True},
            "urls": {"type": "dict", "default": {}},
            "startup": {"type": "str", "required": True},
            "logs": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    status = collect(module.params)
    module.exit_json(changed=False, status=status, problems=problems(status, module.params))


def collect(options: Mapping[str, Any]) -> dict[str, Any]:
    """Ask everyone at the same time."""
    now = time.time()  # noqa: TID251 - ages of stored times, which are wall time
    awake = options["mode"] in ("running", "services")
    with ThreadPoolExecutor(8) as pool:
        ask = awake and options["bootstrap"]
        kafka = pool.submit(_kafka, options, int(now * 1000)) if ask else None
        store = pool.submit(
            store_facts, Path(options["database"]), options["feed"], options["symbols"]
        )
        urls = {t: pool.submit(fetch, url) for t, url in options["urls"].items()} if awake else {}
        ready = {s["name"]: pool.submit(_ready, s) for s in options["services"]} if awake else {}
        services = _services(options, awake=awake)
        for name, answer in ready.items():
            services[name].update(answer.result())
        facts = store.result()
        data = Path(options["instance_dir"], "data")
        return {
            "mode": options["mode"],
            "services": services,
            "kafka": kafka.result() if kafka else {},
            "store": facts,
            "tick_age_s": _age(facts.get("last_tick_us"), now),
            "prediction_age_s": _age(facts.get("last_prediction_us"), now),
            "bytes": {
                name: directory_bytes(data / name) for name in ("kafka", "store", "models", "spool")
            },
            "urls": {title: answer.result()[0] for title, answer in urls.items()},
        }


def _kafka(options: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    from kafka.errors import KafkaError

    try:
        with admin_client(options["bootstrap"], timeout_ms=3000) as client:
            facts: dict[str, Any] = kafka_facts(client, options["topics"], now_ms)
            return facts
    except (KafkaError, OSError) as error:
        return {"error": str(error)}


def _ready(service: Mapping[str, Any]) -> dict[str, Any]:
    code, report = fetch(f"http://127.0.0.1:{service['ops_port']}/health/ready")
    checks = report.get("checks", {}) if isinstance(report, dict) else {}
    failing = [
        f"{name}: {check.get('detail', '')}"
        for name, check in checks.items()
        if not check.get("ok")
    ]
    return {
        "ready": code == 200,
        "reason": "; ".join(failing) or ("" if code else "does not answer"),
    }


def _services(options: Mapping[str, Any], *, awake: bool) -> dict[str, dict[str, Any]]:
    members = find_members(options["instance_dir"])
    groups: dict[str, list[Any]] = {}
    for member in members:
        groups.setdefault(member.service, []).append(member.process)
    used = usage(groups, _CPU_INTERVAL_S) if groups else {}
    crashes = restarts(Path(options["instance_dir"], "log", "supervisord.log"))
    states = (program_states(options["socket"]) if awake else None) or {}
    names = {name: name for name in (DAEMON, *options["platform"])}
    names |= {service["name"]: service["process"] for service in options["services"]}
    found = {}
    for name, process in names.items():
        state = str(
            states.get(process, {}).get("statename", "RUNNING" if name in groups else "STOPPED")
        ).lower()
        if any(is_frozen(each) for each in groups.get(name, [])):
            state = "frozen"
        found[name] = {"state": state, "restarts": crashes[name], **used.get(name, {})}
    return found


def _age(microseconds: int | None, now: float) -> float | None:
    return None if microseconds is None else max(0.0, now - microseconds / 1e6)


def problems(status: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong, each with what to type."""
    if status["mode"] in _ASLEEP:
        return [f"{_ASLEEP[status['mode']]}. Type: {options['startup']}"]
    found = []
    for name, service in status["services"].items():
        look = f"{options['logs']} -e service={name}"
        if service["state"] != "running":
            found.append(
                f"{name} is {service['state']}. Type: {options['startup']}   (its log: {look})"
            )
        elif not service.get("ready", True):
            found.append(f"{name} is not ready: {service['reason']}. Its log: {look}")
    found += _data_problems(status)
    found += [
        f"{title} does not answer well (HTTP {code})"
        for title, code in status["urls"].items()
        if code != 200
    ]
    return found


def _data_problems(status: Mapping[str, Any]) -> list[str]:
    kafka, found = status["kafka"], []
    if kafka.get("error"):
        found.append(f"Kafka does not answer: {kafka['error']}")
    found += [
        f"consumer group {group} is {lag} messages behind"
        for group, lag in kafka.get("groups", {}).items()
        if lag > _LAG_LIMIT
    ]
    age = status["tick_age_s"]
    if age is None or age > _TICK_AGE_LIMIT_S:
        text = "no tick is stored yet" if age is None else f"the last tick is {age:.0f} s old"
        found.append(
            f"{text}: does an exchange answer? With made-up prices: "
            "make build ARGS='-e market_data=simulated'"
        )
    return found


if __name__ == "__main__":
    main()
