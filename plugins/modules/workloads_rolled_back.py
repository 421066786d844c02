#!/usr/bin/python
"""Take back Deployments' versions that did not get ready."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kube_api import WHERE, Kube, KubeError
from ansible.module_utils.workload_state import not_rolled_out, versions_of

DOCUMENTATION = r"""
---
module: workloads_rolled_back
short_description: Take back Deployments' versions that did not get ready
description:
  - A Deployment that is not rolled out gets the template of the newest of its replica sets that
    serves. One that never served is left as it is.
options:
  namespace: {description: Namespace., type: str, required: true}
  deployments: {description: Names., type: list, elements: str, required: true}
  kubeconfig: {description: Empty takes the usual one., type: str, default: ""}
  context: {description: Empty takes the current one., type: str, default: ""}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
rolled_back: {description: Names of those that were taken back., type: list, returned: success}
"""

_HASH = "pod-template-hash"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **WHERE,
            "deployments": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    base = f"/apis/apps/v1/namespaces/{options['namespace']}"
    back = []
    try:
        kube = Kube(options["kubeconfig"], options["context"])
        sets = kube.items(f"{base}/replicasets")
        for deployment in kube.items(f"{base}/deployments"):
            name = deployment["metadata"]["name"]
            template = serving_template({**deployment, "kind": "Deployment"}, sets)
            if name not in options["deployments"] or template is None:
                continue
            back.append(name)
            if not module.check_mode:
                replace = {"op": "replace", "path": "/spec/template", "value": template}
                kube.patch(f"{base}/deployments/{name}", [replace], kind="json")
    except KubeError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(back), rolled_back=back)


def serving_template(
    deployment: Mapping[str, Any], sets: Iterable[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Return the template to go back to; None when nothing is wrong or nothing older serves."""
    if not not_rolled_out(deployment):
        return None
    older = [each for each in versions_of(deployment, sets)[1:] if serves(each)]
    if not older:
        return None
    template: dict[str, Any] = older[0]["spec"]["template"]
    labels = {key: value for key, value in template["metadata"]["labels"].items() if key != _HASH}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}


def serves(replica_set: Mapping[str, Any]) -> bool:
    """Return whether any pod of a replica set is ready."""
    return int((replica_set.get("status") or {}).get("readyReplicas", 0)) > 0


if __name__ == "__main__":
    main()
