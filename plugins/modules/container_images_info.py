#!/usr/bin/python
"""Name the images of services by what goes into them, and tell which are not there."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.docker_cli import in_registry, size_mb
from ansible.module_utils.image_build import build_arguments, image_files, image_name

DOCUMENTATION = r"""
---
module: container_images_info
short_description: Name the images of services, and tell which of them are not there
description:
  - One look for all of them; M(container_image) makes those that are missing.
options:
  repository: {description: First part of the images' names., type: str, required: true}
  packages: {description: Python package by service., type: dict, required: true}
  services: {description: Directory of all packages and the Dockerfile., type: path, required: true}
  shared:
    description: Packages that are part of every image.
    type: list
    elements: str
    default: [common]
  python_image: {description: Base image., type: str, required: true}
  platform: {description: As C(linux/arm64); empty takes the daemon's., type: str, default: ""}
  registry:
    description: Where they are looked for; empty looks at the Docker daemon.
    type: str
    default: ""
author: ["bitcoin-prediction"]
"""

RETURN = r"""
images: {description: Repository and tag by service., type: dict, returned: success}
missing: {description: Services whose image is not there., type: list, returned: success}
"""


def main() -> None:
    word = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "repository": {"type": "str", "required": True},
            "packages": {"type": "dict", "required": True},
            "services": {"type": "path", "required": True},
            "shared": {"type": "list", "elements": "str", "default": ["common"]},
            "python_image": {"type": "str", "required": True},
            "platform": word,
            "registry": word,
        },
        supports_check_mode=True,
    )
    try:
        images = names_of(module.params)
    except OSError as error:
        module.fail_json(msg=f"cannot read {error.filename}: {error.strerror}")
    pushed = bool(module.params["registry"])
    with ThreadPoolExecutor(max(1, len(images))) as pool:
        there = pool.map(lambda image: is_there(image, pushed=pushed), images.values())
        missing = [name for name, found in zip(images, there, strict=True) if not found]
    module.exit_json(changed=False, images=images, missing=missing)


def names_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Return repository and tag by service."""
    return {
        name: image_name(
            options,
            f"{options['repository']}/{name}",
            image_files(Path(options["services"]), options["shared"], package),
            build_arguments(package, options["python_image"]),
        )
        for name, package in options["packages"].items()
    }


def is_there(image: str, *, pushed: bool) -> bool:
    """Return whether the registry, or else the daemon, has the image."""
    return in_registry(image) if pushed else size_mb(image) is not None


if __name__ == "__main__":
    main()
