"""Images in a minikube node: its Docker's address, and what is there."""

from __future__ import annotations

import json
import re

_EXPORT = re.compile(r'^export (\w+)="?([^"\n]*)"?$', re.MULTILINE)


# Would lead `docker build` elsewhere; empty is as if they were not there.
_DISTRACTIONS = {"DOCKER_CONTEXT": "", "BUILDX_BUILDER": ""}


def docker_environment(printed: str) -> dict[str, str]:
    """Return the variables under which ``docker build`` builds in the node.

    ``printed`` is what ``minikube docker-env --shell bash`` exports. Empty when there are none (a
    failed call prints ``false exit code N`` instead), and for containerd's ``ssh://`` address,
    which needs an ssh-agent and keeps no caches.
    """
    found = dict(_EXPORT.findall(printed))
    if not found.get("DOCKER_HOST", "").startswith("tcp://"):
        return {}
    named = {name: value for name, value in found.items() if name.startswith("DOCKER_")}
    return {**named, **_DISTRACTIONS}


def node_images(printed: str) -> set[str]:
    """Return the names in ``minikube image ls --format json``, without Docker Hub's prefix."""
    try:
        listed = json.loads(printed)
    except ValueError:
        return set()
    tags = [tag for image in listed or [] for tag in image.get("repoTags") or []]
    return {plain_name(tag) for tag in tags}


def plain_name(image: str) -> str:
    """Return an image's name without Docker Hub's prefix."""
    return image.removeprefix("docker.io/").removeprefix("library/")
