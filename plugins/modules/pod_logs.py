#!/usr/bin/python
"""Read the last lines of pods' logs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kube_api import WHERE, Kube, KubeError
from ansible.module_utils.pod_lines import chosen_pods, prefixes

DOCUMENTATION = r"""
---
module: pod_logs
short_description: Read the last lines of the logs of a namespace's pods, in the order of their time
options:
  kubeconfig: {description: Empty takes the usual one., type: str, default: ""}
  context: {description: Empty takes the current one., type: str, default: ""}
  namespace: {description: Namespace., type: str, required: true}
  services: {description: Services; empty takes all., type: list, elements: str, default: []}
  tail: {description: Number of lines of each pod., type: int, default: 50}
  pattern: {description: Regular expression of the lines wanted., type: str, default: ""}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
lines: {description: The lines, each with its pod's service., type: list, returned: always}
"""

_LOOK_BACK = 20_000  # lines of a pod that are searched for those that match


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **WHERE,
            "services": {"type": "list", "elements": "str", "default": []},
            "tail": {"type": "int", "default": 50},
            "pattern": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options = module.params
    space = f"/api/v1/namespaces/{options['namespace']}/pods"
    try:
        kube = Kube(options["kubeconfig"], options["context"])
        pods = chosen_pods(kube.items(space), options["services"])
        with ThreadPoolExecutor(8) as pool:
            read = pool.map(lambda pod: stamped_lines(kube, space, pod, options), pods)
            found = dict(zip(pods, read, strict=True))
    except KubeError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, lines=merged(found, prefixes(pods)))


def stamped_lines(kube: Kube, space: str, pod: str, options: Mapping[str, Any]) -> list[str]:
    """Return a pod's last lines that match, each behind the time at which it was written."""
    pattern = re.compile(options["pattern"])
    count = _LOOK_BACK if options["pattern"] else options["tail"]
    try:
        text = kube.text(f"{space}/{pod}/log", tailLines=count, timestamps="true")
    except (KubeError, KeyError):
        return []  # it has not started yet, or has just gone
    lines = [line for line in text.splitlines() if pattern.search(line.partition(" ")[2])]
    return lines[-options["tail"] :]


def merged(found: Mapping[str, Iterable[str]], prefix: Mapping[str, str]) -> list[str]:
    """Return all lines in the order of their time, without it."""
    rows = [
        (stamp, pod, number, text)
        for pod, lines in found.items()
        for number, (stamp, _, text) in enumerate(line.partition(" ") for line in lines)
    ]
    return [f"{prefix[pod]}{text}" for _, pod, _, text in sorted(rows)]


if __name__ == "__main__":
    main()
