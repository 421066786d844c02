#!/usr/bin/python
"""Put workloads to sleep, or wake them with as many replicas as they had."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.cluster_state import REPLICAS, has_ended, replicas_before, replicas_of
from ansible.module_utils.kube_api import WHERE, Kube, KubeError

DOCUMENTATION = r"""
---
module: workloads_scaled
short_description: Put Kubernetes workloads to sleep, or wake them with the replicas they had
description:
  - Asleep means no replicas; how many there were is kept in an annotation of the workload.
    An autoscaler leaves a workload without replicas alone.
  - Waits until the pods of what is put to sleep have ended. Leaves out what does not exist.
options:
  namespace: {description: Namespace., type: str, required: true}
  workloads:
    description: Workloads as C(Kind/name).
    type: list
    elements: str
    required: true
  state: {description: What they are to be., type: str, choices: [asleep, awake], required: true}
  kubeconfig: {description: Empty takes the usual one., type: str, default: ""}
  context: {description: Empty takes the current one., type: str, default: ""}
  timeout: {description: Seconds for the pods to end., type: float, default: 120}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
scaled: {description: Replicas now by workload that was changed., type: dict, returned: success}
"""

_POLL_S = 0.3
_PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets"}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **WHERE,
            "workloads": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["asleep", "awake"], "required": True},
            "timeout": {"type": "float", "default": 120.0},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        kube = Kube(options["kubeconfig"], options["context"])
        paths = {name: path_of(options["namespace"], name) for name in options["workloads"]}
        scaled = {}
        for name, path in paths.items():
            count = wanted(kube, path, asleep=options["state"] == "asleep")
            if count is None:
                continue
            scaled[name] = count[1]
            if not module.check_mode:
                kube.patch(path, change(*count))
        if options["state"] == "asleep" and not module.check_mode:
            left = wait_until_ended(kube, paths, options["timeout"])
            if left:
                module.fail_json(
                    msg=f"{', '.join(left)} did not end within {options['timeout']:.0f} s. See: "
                    f"kubectl get pods -n {options['namespace']}"
                )
    except KubeError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(scaled), scaled=scaled)


def path_of(namespace: str, workload: str) -> str:
    """Return the API's path of ``Kind/name``."""
    kind, _, name = workload.partition("/")
    return f"/apis/apps/v1/namespaces/{namespace}/{_PLURALS[kind]}/{name}"


def wanted(kube: Kube, path: str, *, asleep: bool) -> tuple[int, int] | None:
    """Return (replicas to remember, replicas to have); None when nothing is to be changed."""
    try:
        workload = kube.get(path)
    except KeyError:
        return None
    now = replicas_of(workload)
    if asleep:
        return (now, 0) if now else None
    before = replicas_before(workload)
    return None if now else (before, before)


def change(remembered: int, replicas: int) -> dict[str, Any]:
    """Return the merge patch of a workload."""
    return {
        "metadata": {"annotations": {REPLICAS: str(remembered)}},
        "spec": {"replicas": replicas},
    }


def wait_until_ended(kube: Kube, paths: dict[str, str], limit_s: float) -> list[str]:
    """Return the workloads that still have pods after ``limit_s``."""
    end = time.monotonic() + limit_s
    left = dict(paths)
    while left:
        for name, path in list(left.items()):
            if not pods_of(kube, path):
                del left[name]
        if left and time.monotonic() > end:
            break
        if left:
            time.sleep(_POLL_S)
    return list(left)


def pods_of(kube: Kube, path: str) -> list[dict[str, Any]]:
    """Return a workload's pods, the ending ones included, those that have ended not."""
    try:
        labels = kube.get(path)["spec"]["selector"]["matchLabels"]
    except KeyError:
        return []
    space = path.split("/")[5]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    found: list[dict[str, Any]] = kube.items(
        f"/api/v1/namespaces/{space}/pods", labelSelector=selector
    )
    return [pod for pod in found if not has_ended(pod)]


if __name__ == "__main__":
    main()
