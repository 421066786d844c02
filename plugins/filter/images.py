"""Container images as the nodes of a cluster report them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def images_on_every_node(nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the images that all of ``nodes`` (objects of the API) have, as `docker` names them.

    A node reports its fifty biggest only: one that is missing here may be there.
    """
    found = [
        {
            name.removeprefix("docker.io/").removeprefix("library/")
            for image in (node.get("status") or {}).get("images") or []
            for name in image.get("names") or []
        }
        for node in nodes
    ]
    return sorted(set.intersection(*found)) if found else []


class FilterModule:
    """Filters of the role ``images``."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"images_on_every_node": images_on_every_node}
