#!/usr/bin/python
"""Bring a minikube cluster into a wanted state from whatever state it is in."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from typing import Any

from ansible.module_utils import minikube_advice as advice
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.minikube_commands import (
    LOOK_S,
    QUICK_S,
    Cluster,
    Outcome,
    commands,
    fix_network,
    made_with,
    observe,
    run,
)
from ansible.module_utils.minikube_state import Condition, Observation, Step, classify, decide

DOCUMENTATION = r"""
---
module: minikube
short_description: Have a minikube cluster running, paused, stopped or absent
description:
  - Looks at the cluster, takes the least destructive step that may help, looks again.
  - Data are deleted only for I(state=absent) or with I(allow_recreate).
options:
  profile: {description: Name of the cluster., type: str, default: minikube}
  state:
    description: Wanted state; C(info) only looks.
    type: str
    choices: [running, paused, stopped, absent, info]
    default: running
  cpus: {description: CPUs of a new cluster., type: int, default: 4}
  memory: {description: Memory of a new cluster in MiB., type: int, default: 6144}
  runtime:
    description: Container runtime.
    type: str
    choices: [docker, containerd]
    default: docker
  kubernetes_version: {description: Empty takes minikube's own., type: str, default: ""}
  addons:
    description: Addons that a running cluster must have.
    type: list
    elements: str
    default: []
  extra_args:
    description: Further arguments of minikube start.
    type: list
    elements: str
    default: []
  force: {description: Run as root., type: bool, default: false}
  allow_recreate:
    description: Delete the cluster and its data where nothing else helps.
    type: bool
    default: false
  start_timeout:
    description: Seconds for a start; the first one downloads 1 GB.
    type: float
    default: 1800
  api_patience:
    description: Seconds in which an API server may come back by itself.
    type: float
    default: 30
author: ["bitcoin-prediction"]
"""

RETURN = r"""
before: {description: What was found., type: str, returned: always}
now: {description: What it is now., type: str, returned: always}
condition: {description: The same as one word., type: str, returned: always}
created: {description: Whether the cluster was made anew., type: bool, returned: always}
steps: {description: The steps taken (in check mode the first one)., type: list, returned: always}
notes: {description: Things worth knowing., type: list, returned: always}
"""

_MAX_STEPS = 16
_POLL_S = 1.0


def main() -> None:
    text = {"type": "str", "default": ""}
    names = {"type": "list", "elements": "str", "default": []}
    states = ["running", "paused", "stopped", "absent", "info"]
    module = AnsibleModule(
        argument_spec={
            "profile": {**text, "default": "minikube"},
            "state": {"type": "str", "choices": states, "default": "running"},
            "cpus": {"type": "int", "default": 4},
            "memory": {"type": "int", "default": 6144},
            "runtime": {"type": "str", "choices": ["docker", "containerd"], "default": "docker"},
            "kubernetes_version": text,
            "addons": names,
            "extra_args": names,
            "force": {"type": "bool", "default": False},
            "allow_recreate": {"type": "bool", "default": False},
            "start_timeout": {"type": "float", "default": 1800.0},
            "api_patience": {"type": "float", "default": 30.0},
        },
        supports_check_mode=True,
    )
    Converger(module).converge()


class Converger:
    """One run of the module: observe, decide, act, until the state is reached or cannot be."""

    def __init__(self, module: Any) -> None:
        options = module.params
        self.module = module
        self.made = made_with(options["profile"])
        self.cluster = Cluster(
            profile=options["profile"],
            cpus=options["cpus"],
            memory_mib=options["memory"],
            # An existing cluster keeps its own: another one would lose it its images.
            runtime=self.made.runtime or options["runtime"],
            kubernetes_version=options["kubernetes_version"],
            force=options["force"],
            start_s=options["start_timeout"],
            extra=tuple(options["extra_args"]),
            bridge=self.made.bridge,
        )
        self.steps: list[str] = []
        self.notes: list[str] = []
        self.before = ""
        self.created = False
        self.last: Outcome | None = None

    def converge(self) -> None:
        """Do the whole work; ends the module."""
        self._check_tools()
        wanted = self.module.params["state"]
        tried: list[tuple[Condition, Step]] = []
        while True:
            seen = observe(self.cluster, run)
            condition = classify(seen)
            self.before = self.before or condition.value
            if wanted == "info":
                self.module.exit_json(changed=False, **self._report(condition))
            decision = decide(
                condition,
                wanted,
                tried,
                allow_recreate=self.module.params["allow_recreate"],
                container_runs=seen.container in ("running", "paused", "restarting"),
            )
            if decision.done:
                break
            if decision.step is None or len(tried) >= _MAX_STEPS:
                self._refuse(condition, decision.refusal)
            step = decision.step
            assert step is not None  # _refuse ends the module
            self._check_host(step)
            self.steps.append(f"{condition.value}: {step.value}")
            if self.module.check_mode:
                self.module.exit_json(changed=True, **self._report(condition))
            tried.append((condition, step))
            self._take(step, seen)
        self._finish(condition)

    def _check_tools(self) -> None:
        for tool in ("docker", "minikube", "kubectl"):
            if shutil.which(tool) is None:
                self.module.fail_json(msg=advice.missing_tool(tool))
        fault = advice.version_fault(run(["minikube", "version"], LOOK_S).out)
        if fault:
            self.module.fail_json(msg=fault)
        if self.made.driver not in ("", "docker"):
            name = self.cluster.profile
            self.module.fail_json(msg=advice.other_driver(name, self.made.driver))

    def _check_host(self, step: Step) -> None:
        """Refuse what minikube would refuse, before anything is made, in better words."""
        if step not in (Step.CREATE, Step.RECREATE):
            return
        if os.geteuid() == 0 and not self.cluster.force:
            self.module.fail_json(msg=advice.AS_ROOT)
        answer = run(["docker", "info", "--format", "{{.NCPU}} {{.MemTotal}}"], LOOK_S)
        cpus, _, memory = answer.out.strip().partition(" ")
        if answer.code == 0 and cpus.isdigit() and memory.isdigit():
            host = advice.Host(int(cpus), int(memory) // 2**20)
            fault = advice.size_fault(host, self.cluster.cpus, self.cluster.memory_mib)
            if fault:
                self.module.fail_json(msg=fault)

    def _take(self, step: Step, seen: Observation) -> None:
        self.created = self.created or step in (Step.CREATE, Step.RECREATE)
        if step is Step.WAIT:
            self._wait_for_api()
            return
        for argv, limit_s in self._commands(step):
            self.last = run(argv, limit_s)
            reason = advice.fatal_reason(self.last.text) if self.last.code else ""
            if reason:
                self.module.fail_json(msg=reason, **self._report(classify(seen)))
        if step is Step.REBUILD_CONTROL_PLANE and self.last is not None and not self.last.code:
            self._wait_for_api(2.0)  # the kubelet has yet to start it

    def _commands(self, step: Step) -> Sequence[tuple[list[str], float]]:
        if step is not Step.FIX_NETWORK:
            listed: Sequence[tuple[list[str], float]] = commands(step, self.cluster)
            return listed
        inspected = run(["docker", "container", "inspect", self.cluster.profile], LOOK_S)
        try:
            return [
                (argv, QUICK_S) for argv in fix_network(self.cluster, json.loads(inspected.out)[0])
            ]
        except (ValueError, LookupError) as error:
            self.notes.append(f"network: {error}")
            return []

    def _wait_for_api(self, patience: float = 1.0) -> None:
        deadline = time.monotonic() + patience * self.module.params["api_patience"]
        down = (Condition.API_DOWN, Condition.NODE_DOWN)
        while time.monotonic() < deadline:
            if classify(observe(self.cluster, run)) not in down:
                return
            time.sleep(_POLL_S)

    def _refuse(self, condition: Condition, refusal: str) -> None:
        if condition is Condition.DOCKER_DOWN:
            self.module.fail_json(msg=advice.DOCKER_DOWN, **self._report(condition))
        name = self.cluster.profile
        lines = [f"minikube cluster {name}: {refusal or 'it does not settle'}"]
        lines += [f"  tried: {step}" for step in self.steps]
        if self.last is not None and self.last.code:
            lines.append(f"  the last command said: {advice.short(self.last.text)}")
        if condition is Condition.ABSENT:
            lines.append("Type: ansible-playbook build.yml -e target=minikube")
        elif not self.module.params["allow_recreate"]:
            lines.append(
                "To delete the cluster with all its data and make a new one, type: "
                "ansible-playbook build.yml -e target=minikube -e allow_recreate=true"
            )
        else:
            lines.append(f"To see why, type: minikube logs --problems --profile {name}")
        self.module.fail_json(msg="\n".join(lines), **self._report(condition))

    def _finish(self, condition: Condition) -> None:
        added: list[str] = []
        if condition is Condition.RUNNING:
            self._compare_size()
            added = self._enable_addons()
        self.steps += [f"enable the addon {name}" for name in added]
        self.module.exit_json(changed=bool(self.steps), **self._report(condition))

    def _compare_size(self) -> None:
        made, wanted = self.made, self.cluster
        if made.cpus and (made.cpus < wanted.cpus or made.memory_mib < wanted.memory_mib):
            self.notes.append(
                f"the cluster has {made.cpus} CPUs and {made.memory_mib} MiB; "
                "minikube changes that only for a new one"
            )
        if made.runtime not in ("", self.module.params["runtime"]):
            self.notes.append(f"the cluster has the runtime {made.runtime}, and keeps it")

    def _enable_addons(self) -> list[str]:
        listing = run(self.cluster.minikube("addons", "list", "-o", "json"), LOOK_S)
        try:
            known = json.loads(listing.out)
        except ValueError:
            known = {}
        missing = [
            n for n in self.module.params["addons"] if known.get(n, {}).get("Status") != "enabled"
        ]
        for name in missing if not self.module.check_mode else []:
            outcome = run(self.cluster.minikube("addons", "enable", name), 2 * QUICK_S)
            if outcome.code:
                said = advice.short(outcome.text)
                self.module.fail_json(
                    msg=f"minikube cannot enable the addon {name}: {said}", steps=self.steps
                )
        return missing

    def _report(self, condition: Condition) -> dict[str, Any]:
        return {
            "before": self.before,
            "now": condition.value,
            "condition": condition.name.lower(),
            "created": self.created,
            "steps": self.steps,
            "notes": self.notes,
        }


if __name__ == "__main__":
    main()
