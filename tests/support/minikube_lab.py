"""A real cluster behind the stand-in for minikube: its API and its images, while states are played.

The lab is told by a mapping: ``kubeconfig`` of the cluster, ``docker`` (the real command), ``load``
and ``list``, the commands that bring a tar archive of an image to the node and print the names of
those that are there.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Lab"]


class Lab:
    """The cluster that answers for minikube's."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._facts = facts

    def docker(self, words: Sequence[str]) -> int:
        """Run the real docker with our input and output; return its exit code."""
        return subprocess.run([self._facts["docker"], *words], check=False).returncode

    def images(self) -> list[str]:
        """Return the names of the images that the node has."""
        answer = subprocess.run(self._facts["list"], check=True, capture_output=True, text=True)
        return answer.stdout.split()

    def load(self, image: str) -> None:
        """Bring an image to the node; one that is not there is passed over, as minikube does."""
        with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
            saved = subprocess.run(
                [self._facts["docker"], "save", "-o", archive.name, image], check=False
            )
            if not saved.returncode:
                subprocess.run([*self._facts["load"], archive.name], check=True)

    def follow(self, command: str, profile: str) -> None:
        """Change the user's kubeconfig as minikube does: a context with the profile's name."""
        if command not in ("start", "delete"):
            return
        file = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
        mine: dict[str, Any] = (
            yaml.safe_load(file.read_text()) if file.exists() else {"kind": "Config"}
        )
        lab = yaml.safe_load(Path(self._facts["kubeconfig"]).read_text())
        for kind in ("contexts", "clusters", "users"):
            kept = [each for each in mine.get(kind) or [] if each["name"] != profile]
            added = [{**lab[kind][0], "name": profile}] if command == "start" else []
            mine[kind] = kept + added
        for context in mine["contexts"]:
            if context["name"] == profile:
                context["context"] = {"cluster": profile, "user": profile}
        mine["current-context"] = profile if command == "start" else ""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(mine))
