#!/usr/bin/python
"""Collect everything about an instance on a cluster that one screen shows; changes nothing."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.cluster_state import name_of
from ansible.module_utils.cluster_view import (
    claim_view,
    cluster_problems,
    history,
    metrics_awaited,
    pod_metrics,
    quota_view,
    route_view,
    scaler_view,
    service_view,
    warnings,
)
from ansible.module_utils.kube_api import WHERE, Kube, KubeError
from ansible.module_utils.observation import fetch
from ansible.module_utils.pod_exec import run_in_pod

DOCUMENTATION = r"""
---
module: cluster_status
short_description: Collect everything about an instance on a cluster that one screen shows
options:
  kubeconfig: {description: Empty takes the usual one., type: str, default: ""}
  context: {description: Empty takes the current one., type: str, default: ""}
  namespace: {description: Namespace., type: str, required: true}
  mode: {description: Mode as the plan found it., type: str, required: true}
  details: {description: Whether to ask Kafka and the database too., type: bool, default: true}
  own_kafka: {description: Whether Kafka runs in the namespace., type: bool, default: true}
  own_database: {description: Whether PostgreSQL runs in the namespace., type: bool, default: true}
  topics: {description: Topics to show., type: list, elements: str, default: []}
  urls: {description: Addresses to try on this machine., type: dict, default: {}}
  startup: {description: Command that starts the instance., type: str, required: true}
  build: {description: Command that builds it., type: str, required: true}
  logs: {description: Command that shows logs., type: str, required: true}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
status: {description: What was found., type: dict, returned: always}
problems: {description: What is wrong and what to type., type: list, returned: always}
"""

_EXEC_S = 30.0
_TICK_AGE_LIMIT_S = 15.0
_LAG_LIMIT = 100
_WARNINGS = 5
_ASLEEP = {
    "absent": "the namespace holds nothing of the instance",
    "paused": "the instance is paused: its pods have ended",
    "stopped": "the instance is stopped: its pods have ended",
    "services": "the applications are stopped",
}
_OFFSET = re.compile(r"^([\w.-]+):(\d+):(\d+)$", re.MULTILINE)
# Beside the broker, with a small heap, and only when it leaves time: a look must not disturb.
_ASK_KAFKA = """
export KAFKA_HEAP_OPTS='-Xmx96m -XX:TieredStopAtLevel=1'
cd /opt/kafka/bin
at='--bootstrap-server localhost:9092'
nice -n 19 ./kafka-get-offsets.sh $at
echo GROUPS
nice -n 19 ./kafka-consumer-groups.sh $at --all-groups --describe 2>/dev/null || true
"""
_ASK_DATABASE = """
SET statement_timeout = '3s';
SELECT json_build_object(
  'ticks', (SELECT count(*) FROM ticks),
  'predictions', (SELECT count(*) FROM predictions),
  'scores', (SELECT count(*) FROM scores),
  'bytes', pg_database_size(current_database()))
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **WHERE,
            "mode": {"type": "str", "required": True},
            "details": {"type": "bool", "default": True},
            "own_kafka": {"type": "bool", "default": True},
            "own_database": {"type": "bool", "default": True},
            "topics": {"type": "list", "elements": "str", "default": []},
            "urls": {"type": "dict", "default": {}},
            "startup": {"type": "str", "required": True},
            "build": {"type": "str", "required": True},
            "logs": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        status = collect(Kube(options["kubeconfig"], options["context"]), options)
    except KubeError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, status=status, problems=problems(status, options))


def collect(kube: Kube, options: Mapping[str, Any]) -> dict[str, Any]:
    """Ask everyone at the same time."""
    space = f"namespaces/{options['namespace']}"
    paths = {
        "Deployment": f"/apis/apps/v1/{space}/deployments",
        "StatefulSet": f"/apis/apps/v1/{space}/statefulsets",
        "sets": f"/apis/apps/v1/{space}/replicasets",
        "pods": f"/api/v1/{space}/pods",
        "metrics": f"/apis/metrics.k8s.io/v1beta1/{space}/pods",
        "scalers": f"/apis/autoscaling/v2/{space}/horizontalpodautoscalers",
        "quotas": f"/api/v1/{space}/resourcequotas",
        "claims": f"/api/v1/{space}/persistentvolumeclaims",
        "events": f"/api/v1/{space}/events",
        "routes": f"/apis/route.openshift.io/v1/{space}/routes",
    }
    awake = options["mode"] not in ("absent", "paused", "stopped")
    with ThreadPoolExecutor(16) as pool:
        asked = {name: pool.submit(_items, kube, path) for name, path in paths.items()}
        urls = {t: pool.submit(fetch, url) for t, url in options["urls"].items()} if awake else {}
        health = pool.submit(_health, kube, options) if awake else None
        ask = awake and options["details"]
        kafka = pool.submit(_kafka, kube, options) if ask and options["own_kafka"] else None
        store = pool.submit(_store, kube, options) if ask and options["own_database"] else None
        found = {name: answer.result() for name, answer in asked.items()}
        return {
            "mode": options["mode"],
            **_objects(found),
            "kafka": kafka.result() if kafka else {},
            "store": store.result() if store else {},
            "health": health.result() if health else {},
            "urls": {title: answer.result()[0] for title, answer in urls.items()},
        }


def _objects(found: Mapping[str, Any]) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc)  # noqa: TID251, UP017 - a module has no clock
    used = pod_metrics(found["metrics"] or [])
    workloads = [{**w, "kind": kind} for kind in ("StatefulSet", "Deployment") for w in found[kind]]
    scalers = {name_of(each): scaler_view(each, found["pods"], now) for each in found["scalers"]}
    return {
        "services": {
            name_of(each): service_view(each, found["pods"], used, now) for each in workloads
        },
        "metrics": bool(used) or metrics_awaited(found["pods"], now),
        "scalers": scalers,
        "quota": quota_view(found["quotas"][0]) if found["quotas"] else {},
        "claims": {name_of(each): claim_view(each) for each in found["claims"]},
        "routes": {name_of(each): route_view(each) for each in found["routes"]},
        "history": {
            name_of(each): history(each, found["sets"], now) for each in found["Deployment"]
        },
        "warnings": warnings(found["events"], scalers, now)[-_WARNINGS:],
    }


def _items(kube: Kube, path: str) -> list[dict[str, Any]]:
    """Return a list; empty where it may not be seen (or the API has no metrics, no routes)."""
    try:
        found: list[dict[str, Any]] = kube.items(path)
    except KubeError:
        return []
    return found


def _health(kube: Kube, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the web application's own report, by the API server; it works without a tunnel."""
    path = f"/api/v1/namespaces/{options['namespace']}/services/web-app:http/proxy/api/health"
    try:
        found: dict[str, Any] = kube.get(path)
    except (KubeError, KeyError, ValueError):
        return {}
    return found


def _kafka(kube: Kube, options: Mapping[str, Any]) -> dict[str, Any]:
    try:
        command = ["bash", "-c", _ASK_KAFKA]
        code, text, errors = run_in_pod(kube, options["namespace"], "kafka-0", command, _EXEC_S)
    except KubeError as error:
        return {"error": str(error)}
    if code:
        return {"error": errors.strip()[-300:]}
    offsets, _, groups = text.partition("GROUPS\n")
    return {"topics": topic_ends(offsets, options["topics"]), "groups": group_lags(groups)}


def topic_ends(text: str, topics: list[str]) -> dict[str, dict[str, int]]:
    """Return partitions and messages ever written by topic, from kafka-get-offsets."""
    found: dict[str, dict[str, int]] = {}
    for topic, _, end in _OFFSET.findall(text):
        if topic in topics:
            facts = found.setdefault(topic, {"partitions": 0, "messages": 0})
            facts["partitions"] += 1
            facts["messages"] += int(end)
    return found


def group_lags(text: str) -> dict[str, int]:
    """Return by how much each consumer group is behind, from kafka-consumer-groups' table."""
    lags: dict[str, int] = {}
    columns: list[str] = []
    for words in (line.split() for line in text.splitlines()):
        if words[:2] == ["GROUP", "TOPIC"]:
            columns = words
        elif columns and len(words) >= len(columns):
            row = dict(zip(columns, words, strict=False))
            if row["LAG"].isdigit():
                lags[row["GROUP"]] = lags.get(row["GROUP"], 0) + int(row["LAG"])
    return lags


def _store(kube: Kube, options: Mapping[str, Any]) -> dict[str, Any]:
    command = ["psql", "-qAtX", "-U", "bitcoin", "-d", "bitcoin", "-c", _ASK_DATABASE]
    try:
        code, text, errors = run_in_pod(kube, options["namespace"], "database-0", command, _EXEC_S)
    except KubeError as error:
        return {"error": str(error)}
    if code:
        return {"error": errors.strip()[-300:]}
    found: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    return found


def problems(status: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong, each with what to type."""
    if status["mode"] in _ASLEEP:
        return [f"{_ASLEEP[status['mode']]}. Type: {options['startup']}"]
    found: list[str] = cluster_problems(status, options)
    found += [
        f"{engine} does not answer: {status[engine]['error']}"
        for engine in ("kafka", "store")
        if status[engine].get("error")
    ]
    found += [
        f"consumer group {group} is {lag} messages behind"
        for group, lag in status["kafka"].get("groups", {}).items()
        if lag > _LAG_LIMIT
    ]
    if not status["metrics"]:
        found.append(
            "the cluster has no metrics yet, so autoscalers cannot work: is metrics-server there? "
            "See: kubectl top pods"
        )
    age = status["health"].get("last_tick_age_s")
    if status["health"] and (age is None or age > _TICK_AGE_LIMIT_S):
        text = "no tick is stored yet" if age is None else f"the last tick is {age:.0f} s old"
        found.append(f"{text}. See: {options['logs']} -e service=data-collector")
    found += [
        f"{title} does not answer on this machine. Type: ansible-playbook tunnels.yml"
        for title, code in status["urls"].items()
        if code == 0
    ]
    return found


if __name__ == "__main__":
    main()
