#!/usr/bin/python
"""Look at an instance on a cluster, and refuse what cannot be; changes nothing."""

from __future__ import annotations

import json
import platform
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.cluster_state import (
    DECLARED,
    NEEDED,
    NEEDED_ROUTES,
    ROUTES,
    SECRET,
    STATE,
    TOPICS_JOB,
    architecture_fault,
    denied,
    image_of,
    mode_of,
    name_of,
    ownership_fault,
    quota_faults,
    replicas_before,
    replicas_of,
    room_fault,
    storage_fault,
    taken,
)
from ansible.module_utils.kube_api import WHERE, Forbidden, Kube, KubeError
from ansible.module_utils.pod_exec import run_in_pod

DOCUMENTATION = r"""
---
module: cluster_plan
short_description: Look at an instance on a Kubernetes cluster, or say what forbids to go on
description:
  - Reads what is there; fails with every obstacle in one message; changes nothing.
options:
  kubeconfig: {description: Empty takes KUBECONFIG or ~/.kube/config., type: str, default: ""}
  context: {description: Empty takes the current one., type: str, default: ""}
  namespace: {description: Namespace of the instance., type: str, required: true}
  instance: {description: Name of the instance., type: str, required: true}
  part_of: {description: Label of all that is ours., type: str, required: true}
  check: {description: Whether to look for what forbids a build., type: bool, default: false}
  storage_class: {description: Empty takes the default one., type: str, default: ""}
  registry: {description: Where images are pushed; empty looks at none., type: str, default: ""}
  builds: {description: Whether this machine builds the images., type: bool, default: true}
  quota: {description: Name of the quota that the project makes., type: str, default: platform}
  needs:
    description: What all replicas and a surge pod request, by the names of quotas.
    type: dict
    default: {}
  least_needs: {description: The same with the fewest replicas., type: dict, default: {}}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
cluster:
  description: Context, server, version, what the API offers, the instance's workloads and mode.
  type: dict
  returned: success
"""

_FEW_NODES = 10  # of more it is not worth asking what each pod requests
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_REGISTRY_S = 5.0
_EXEC_S = 10.0
_BROKER = "kafka-0"
_LOG_DIR = "/data/kafka"  # as roles/kafka has it
_KINDS = {"Deployment": "deployments", "StatefulSet": "statefulsets"}


def main() -> None:
    word = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            **WHERE,
            "instance": {"type": "str", "required": True},
            "part_of": {"type": "str", "required": True},
            "check": {"type": "bool", "default": False},
            "storage_class": word,
            "registry": word,
            "builds": {"type": "bool", "default": True},
            "quota": {"type": "str", "default": "platform"},
            "needs": {"type": "dict", "default": {}},
            "least_needs": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    try:
        kube = Kube(module.params["kubeconfig"], module.params["context"])
        version = str(kube.get("/version")["gitVersion"])
        groups = {str(group["name"]) for group in kube.get("/apis")["groups"]}
        faults = faults_of(kube, module.params, groups)
        if faults:
            module.fail_json(msg="\n".join(faults))
        found = look(kube, module.params["namespace"], groups)
        if module.params["check"] and found["there"]:
            found["partitions"] = partitions(kube, module.params["namespace"])
    except KubeError as error:
        module.fail_json(msg=str(error))
    cluster = {
        "kubeconfig": kube.kubeconfig,
        "context": kube.context,
        "server": kube.server,
        "version": version,
    }
    module.exit_json(changed=False, cluster={**cluster, **found})


def faults_of(kube: Kube, options: Mapping[str, Any], groups: set[str]) -> list[str]:
    """Return every obstacle; permissions first, since without them nothing else can be seen."""
    name = options["namespace"]
    namespace = _or_none(kube, f"/api/v1/namespaces/{name}")
    faults = [ownership_fault(namespace, name, options["part_of"], options["instance"])]
    if options["check"] and not faults[0]:
        lacking = permission_fault(kube, name, groups, exists=namespace is not None)
        faults += [lacking] if lacking else build_faults(kube, options)
    return [fault for fault in faults if fault]


def build_faults(kube: Kube, options: Mapping[str, Any]) -> list[str]:
    """Return what forbids a build on this cluster, for those who may look."""
    space = f"/api/v1/namespaces/{options['namespace']}"
    classes = _seen(kube, "/apis/storage.k8s.io/v1/storageclasses")
    nodes = _seen(kube, "/api/v1/nodes")
    quotas = _seen(kube, f"{space}/resourcequotas") or []
    asks = options["least_needs"] and 0 < len(nodes or []) <= _FEW_NODES
    pods = _seen(kube, "/api/v1/pods") if asks else None
    held = taken(pods or [], options["namespace"])
    return [
        "" if classes is None else storage_fault(classes, options["storage_class"]),
        architecture_fault(nodes or [], platform.machine()) if options["builds"] else "",
        room_fault(nodes or [], options["least_needs"], held) if options["least_needs"] else "",
        *quota_faults(quotas, options["needs"], options["quota"], options["namespace"]),
        registry_fault(options["registry"]) if options["registry"] else "",
    ]


def permission_fault(kube: Kube, namespace: str, groups: set[str], *, exists: bool) -> str:
    """Ask the API what this account may do; return what it lacks."""
    needed = (*NEEDED, NEEDED_ROUTES) if ROUTES in groups else NEEDED
    asked = [(group, kind, verb) for group, kind, verbs in needed for verb in verbs]
    if not exists:
        asked.append(("", "namespaces", "create"))
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda each: _permitted(kube, namespace, *each), asked)
        lacking: str = denied(dict(zip(asked, answers, strict=True)), namespace)
    return lacking


def _permitted(kube: Kube, namespace: str, group: str, resource: str, verb: str) -> bool:
    kind, _, part = resource.partition("/")
    attributes = {"group": group, "resource": kind, "subresource": part, "verb": verb}
    if resource != "namespaces":
        attributes["namespace"] = namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool(kube.post(_REVIEWS, review).get("status", {}).get("allowed"))


def look(kube: Kube, namespace: str, groups: set[str]) -> dict[str, Any]:
    """Return the instance's workloads and mode, and what the API offers."""
    workloads = [
        {**item, "kind": kind}
        for kind, plural in _KINDS.items()
        for item in kube.items(f"/apis/apps/v1/namespaces/{namespace}/{plural}")
    ]
    space = f"/api/v1/namespaces/{namespace}"
    state = _or_none(kube, f"{space}/configmaps/{STATE}") or {}
    recorded = state.get("data") or {}
    return {
        "routes": ROUTES in groups,
        "gives_ids": "security.openshift.io" in groups,
        "metrics": "metrics.k8s.io" in groups,
        "there": _or_none(kube, space) is not None,
        "secret": _or_none(kube, f"{space}/secrets/{SECRET}") is not None,
        "declarations": declarations(kube, namespace),
        "mode": mode_of(workloads, recorded.get("mode", "")),
        "known_offsets": json.loads(recorded.get("offsets") or "{}"),
        "workloads": {
            f"{item['kind']}/{name_of(item)}": {
                "replicas": replicas_of(item),
                "before": replicas_before(item),
                "image": image_of(item),
            }
            for item in workloads
        },
    }


def declarations(kube: Kube, namespace: str) -> list[str]:
    """Return what the jobs that declare topics have declared, by its hash."""
    jobs = kube.items(f"/apis/batch/v1/namespaces/{namespace}/jobs", labelSelector=TOPICS_JOB)
    return [str(job["metadata"]["labels"].get(DECLARED, "")) for job in jobs]


def partitions(kube: Kube, namespace: str) -> list[str]:
    """Return the names of the partitions that the first broker holds; none where it is not up."""
    try:
        _, printed, _ = run_in_pod(kube, namespace, _BROKER, ["ls", _LOG_DIR], _EXEC_S)
    except KubeError:
        return []
    names: list[str] = printed.split()
    return names


def _or_none(kube: Kube, path: str) -> dict[str, Any] | None:
    """Return the object at ``path``; None when there is none, or none that we may see."""
    try:
        found: dict[str, Any] = kube.get(path)
    except (KeyError, Forbidden):
        return None
    return found


def _seen(kube: Kube, path: str) -> list[dict[str, Any]] | None:
    """Return a list, or None where this account may not look."""
    try:
        found: list[dict[str, Any]] = kube.items(path)
    except Forbidden:
        return None
    return found


def registry_fault(registry: str) -> str:
    """Return why a registry cannot be used; one that asks for a login is there."""
    host = registry.partition("/")[0]
    reason = ""
    for scheme in ("https", "http"):
        try:
            with urllib.request.urlopen(f"{scheme}://{host}/v2/", timeout=_REGISTRY_S):  # noqa: S310
                return ""
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                return ""
            reason = f"HTTP {error.code}"
        except OSError as error:
            reason = reason or str(getattr(error, "reason", error))
    return (
        f"the registry {host} does not answer ({reason}): is it up, and is its name right? "
        "Another one: -e registry=HOST/PATH"
    )


if __name__ == "__main__":
    main()
