#!/usr/bin/python
"""Have images in a minikube node, or find out how to build them there."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.docker_cli import docker
from ansible.module_utils.minikube_commands import run
from ansible.module_utils.minikube_images import (
    docker_environment,
    lost_names,
    node_images,
    plain_name,
)

DOCUMENTATION = r"""
---
module: minikube_images
short_description: Have images in a minikube node
description:
  - With I(images) those that are not in the node are loaded, and looked for again afterwards,
    since C(minikube image load) returns 0 even where it loaded nothing.
  - A node whose container is made anew on its old volume gets minikube's own list of images, and
    those that were built in it lose their names; with I(repository) they get them back.
  - Always reports the variables under which C(docker build) builds in the node.
options:
  profile: {description: Name of the cluster., type: str, default: minikube}
  images: {description: Images that must be in the node., type: list, elements: str, default: []}
  public:
    description: Images that the node fetches itself if it has not got them, in whatever time.
    type: list
    elements: str
    default: []
  repository:
    description: First part of the names of images of ours; empty leaves those without a name.
    type: str
    default: ""
  timeout: {description: Seconds for each image., type: float, default: 600}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
environment: {description: For docker; empty with containerd., type: dict, returned: always}
loaded: {description: Images that were loaded or fetched., type: list, returned: always}
named: {description: Images that got their names back., type: list, returned: always}
"""

_LOOK_S = 30.0


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "profile": {"type": "str", "default": "minikube"},
            "images": {"type": "list", "elements": "str", "default": []},
            "public": {"type": "list", "elements": "str", "default": []},
            "repository": {"type": "str", "default": ""},
            "timeout": {"type": "float", "default": 600.0},
        },
        supports_check_mode=True,
    )
    profile, images = module.params["profile"], module.params["images"]
    public = module.params["public"]
    there = present(profile) if images or public else set()
    missing = [name for name in images if name not in there]
    wanted = [name for name in public if plain_name(name) not in there]
    if missing and not module.check_mode:
        load(module, profile, missing)
    if wanted and not module.check_mode:
        fetch(module, profile, wanted)
    shell = minikube(["docker-env", "--shell", "bash"], profile, _LOOK_S)
    environment = docker_environment(shell) if shell else {}
    named = []
    if environment and module.params["repository"]:
        os.environ.update(environment)
        named = name_again(module.params["repository"], dry=module.check_mode)
    module.exit_json(
        changed=bool(missing + wanted + named),
        loaded=missing + wanted,
        named=named,
        environment=environment,
    )


def name_again(repository: str, *, dry: bool) -> list[str]:
    """Give images of ours that lost their names those that their labels tell; return the names."""
    unnamed = ["--filter", "dangling=true", "--filter", "label=org.opencontainers.image.version"]
    listed = docker(["image", "ls", "--quiet", "--no-trunc", *unnamed], _LOOK_S)
    numbers = sorted(set(listed.stdout.decode().split())) if listed.returncode == 0 else []
    if not numbers:
        return []
    inspected = docker(["image", "inspect", *numbers], _LOOK_S)
    lost = lost_names(json.loads(inspected.stdout or b"[]"), repository)
    return [
        name
        for number, name in sorted(lost.items())
        if dry or docker(["image", "tag", number, name], _LOOK_S).returncode == 0
    ]


def load(module: Any, profile: str, missing: Sequence[str]) -> None:
    """Load images; ends the module when one is not in the node afterwards."""
    for image in missing:
        minikube(["image", "load", image], profile, module.params["timeout"])
    absent = sorted(set(missing) - present(profile))
    if absent:
        module.fail_json(
            msg=f"minikube took {', '.join(absent)} without an error, but the node has not got it. "
            "Is its disk full (minikube ssh -- df -h /var), or has this machine's Docker lost it, "
            "too? Type: ansible-playbook build.yml"
        )


def fetch(module: Any, profile: str, wanted: Sequence[str]) -> None:
    """Have the node pull images; ends the module when one cannot be had."""
    for image in wanted:
        minikube(["image", "pull", image], profile, module.params["timeout"])
    there = present(profile)
    absent = [name for name in wanted if plain_name(name) not in there]
    if absent:
        module.fail_json(
            msg=f"the node cannot fetch {', '.join(absent)}. Has it a way out? Type: "
            f"minikube ssh --profile {profile} -- sudo crictl pull {absent[0]}   (a mirror: "
            "-e kafka_image= -e postgres_image= -e kafka_ui_image=)"
        )


def present(profile: str) -> set[str]:
    """Return the images that the node has."""
    found: set[str] = node_images(minikube(["image", "ls", "--format", "json"], profile, _LOOK_S))
    return found


def minikube(words: Sequence[str], profile: str, limit_s: float) -> str:
    """Return what minikube prints; empty when it fails or hangs."""
    done = run(["minikube", *words, "--profile", profile], limit_s)
    return str(done.out) if done.code == 0 else ""


if __name__ == "__main__":
    main()
