#!/usr/bin/python
"""Wait until workloads are rolled out, or say at once why they never will be."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kube_api import WHERE, Kube, KubeError
from ansible.module_utils.workload_state import (
    RESTARTS,
    ends_of,
    lacks_image,
    newest_pods,
    not_rolled_out,
    pod_fault,
    pod_words,
    refused,
    seconds_since,
    version_labels,
)

DOCUMENTATION = r"""
---
module: workloads_ready
short_description: Wait until Kubernetes workloads are rolled out
description:
  - Ends early, with the reason, events and last log lines, when a pod cannot become ready.
options:
  namespace: {description: Namespace., type: str, required: true}
  workloads:
    description: Workloads as C(Kind/name).
    type: list
    elements: str
    required: true
  kubeconfig: {description: Configuration file; empty takes the usual one., type: str, default: ""}
  context: {description: Context; empty takes the current one., type: str, default: ""}
  restarts: {description: Ends of a container that leave no hope., type: int, default: 3}
  timeout: {description: Seconds., type: float, default: 300}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
waited: {description: Seconds until all were ready., type: float, returned: success}
seconds: {description: Seconds by workload., type: dict, returned: success}
"""

_OLD_S = 60.0  # a pod that is younger was made for what is waited for
# An older one may have lost its image with its node, and have it again: the kubelet waits twice as
# long each time, 160 s after four minutes, which is what loading all images takes.
_IMAGE_S = 200.0
_POLL_S = 0.5
_LOG_LINES = 15
_EVENTS = 4
_NO_LOG = "unable to retrieve container logs"
_LISTS = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **WHERE,
            "workloads": {"type": "list", "elements": "str", "required": True},
            "restarts": {"type": "int", "default": RESTARTS},
            "timeout": {"type": "float", "default": 300.0},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, waited=0.0, seconds={})
    try:
        wait(module, Cluster(module.params))
    except KubeError as error:
        module.fail_json(msg=str(error))


class Cluster:
    """What is asked of the API, as plain mappings."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._kube = Kube(options["kubeconfig"], options["context"])
        self._namespace = options["namespace"]

    def workloads(self) -> dict[str, dict[str, Any]]:
        """Return every workload of the namespace by ``Kind/name``."""
        return {
            f"{kind}/{item['metadata']['name']}": {**item, "kind": kind}
            for kind, path in _LISTS.items()
            for item in self._kube.items(path.format(self._namespace))
        }

    def pods(self) -> list[dict[str, Any]]:
        """Return all pods of the namespace."""
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        found: list[dict[str, Any]] = self._kube.items(path)
        return found

    def newest_pods(self, workloads: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
        """Return the pods of each workload's newest version, newest first."""
        space = f"/apis/apps/v1/namespaces/{self._namespace}/replicasets"
        pods, sets = self.pods(), self._kube.items(space)
        return {
            name: newest_pods(pods, version_labels(workload, sets))
            for name, workload in workloads.items()
        }

    def story(self, pod: str) -> list[str]:
        """Return a pod's last events and log lines."""
        space = f"/api/v1/namespaces/{self._namespace}"
        about = f"involvedObject.name={pod}"
        events = self._kube.items(f"{space}/events", fieldSelector=about)
        lines = [f"  event: {e['reason']}: {e.get('message', '')}" for e in events[-_EVENTS:]]
        for previous in ("true", "false"):
            try:
                text = self._kube.text(
                    f"{space}/pods/{pod}/log", tailLines=_LOG_LINES, previous=previous
                )
            except (KubeError, KeyError):
                continue  # there may be no log yet
            # The kubelet's own words where it has just removed the container that ended.
            if text.strip() and not text.startswith(_NO_LOG):
                said = [f"    {line}" for line in text.splitlines()]
                return [*lines, f"  last lines of {pod}'s log:", *said]
        return lines


def wait(module: Any, cluster: Cluster) -> None:
    """Poll until every workload is there; ends the module."""
    started = time.monotonic()
    waiting = dict.fromkeys(module.params["workloads"], "does not exist")
    seconds: dict[str, float] = {}
    earlier: dict[str, int] = {}
    while True:
        found = cluster.workloads()
        for name in list(waiting):
            waiting[name] = not_rolled_out(found[name]) if name in found else "does not exist"
            if not waiting[name]:
                seconds[name] = round(time.monotonic() - started, 1)
                del waiting[name]
        passed = time.monotonic() - started
        if not waiting:
            module.exit_json(changed=False, waited=round(passed, 1), seconds=seconds)
        there = {name: found[name] for name in waiting if name in found}
        fault = first_fault(cluster, there, module.params["restarts"], earlier, passed)
        if fault:
            module.fail_json(msg=fault)
        if passed > module.params["timeout"]:
            reasons = [
                f"{name} is not ready after {passed:.0f} s: {why}" for name, why in waiting.items()
            ]
            module.fail_json(msg="\n".join([*reasons, *newest_story(cluster, there)]))
        time.sleep(_POLL_S)


def first_fault(
    cluster: Cluster,
    workloads: Mapping[str, Mapping[str, Any]],
    restarts: int,
    earlier: dict[str, int],
    passed: float,
) -> str:
    """Return the message about the first workload that cannot become ready; empty while all may.

    ``earlier`` keeps how often each pod had ended that is older than the wait, which has lasted for
    ``passed`` seconds: a node that was repaired has ended them all, and they come back.
    """
    pods = cluster.newest_pods(workloads)
    now = datetime.datetime.now(datetime.timezone.utc)  # noqa: TID251, UP017 - a module has no clock
    for name, workload in workloads.items():
        why = refused(workload, now)
        if why:
            return f"{name}: {why}"
        for pod in pods[name][:3]:
            age = seconds_since(pod["metadata"]["creationTimestamp"], now)
            older = age - passed > _OLD_S
            before = earlier.setdefault(str(pod["metadata"]["uid"]), ends_of(pod) if older else 0)
            fault = pod_fault(pod, age, before + restarts)
            if fault and not (older and passed < _IMAGE_S and lacks_image(pod)):
                pod_name = pod["metadata"]["name"]
                return "\n".join([f"{name}: pod {pod_name}: {fault}", *cluster.story(pod_name)])
    return ""


def newest_story(cluster: Cluster, workloads: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what the newest pod of each workload says."""
    lines: list[str] = []
    for name, pods in cluster.newest_pods(workloads).items():
        for pod in pods[:1]:
            pod_name = pod["metadata"]["name"]
            lines += [f"{name}: pod {pod_name}: {pod_words(pod)}", *cluster.story(pod_name)]
    return lines


if __name__ == "__main__":
    main()
