"""Images in a minikube node: its Docker's address, and what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from ansible.module_utils.image_build import description_of

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


def lost_names(inspected: Iterable[dict[str, Any]], repository: str) -> dict[str, str]:
    """Return ids of images of ours that have no name, with the name that their labels tell.

    ``inspected`` is what ``docker image inspect`` prints. Where two had one name it is the newer's.
    """
    found: dict[str, str] = {}
    for image in sorted(inspected, key=lambda each: str(each.get("Created", ""))):
        labels = (image.get("Config") or {}).get("Labels") or {}
        title, tag = (labels.get(f"org.opencontainers.image.{key}") for key in ("title", "version"))
        about = labels.get("org.opencontainers.image.description")
        if not image.get("RepoTags") and title and tag and about == description_of(title):
            found[f"{repository}/{title}:{tag}"] = str(image["Id"])
    return {number: name for name, number in found.items()}
