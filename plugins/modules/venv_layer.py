#!/usr/bin/python
"""Make a dependency layer: a virtual environment with the packages of a lock file."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.layer import complete, is_complete, remove

DOCUMENTATION = r"""
---
module: venv_layer
short_description: Install a lock file into an immutable virtual environment
description:
  - An environment without its mark of completion was left half-made and is made anew.
options:
  path: {description: The layer., type: path, required: true}
  requirements: {description: Lock file with hashes., type: path, required: true}
  uv: {description: The installer., type: path, required: true}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
path: {description: The layer., type: str, returned: always}
"""

_NETWORK_WORDS = ("dns error", "error sending request", "Failed to fetch", "Could not connect")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "requirements": {"type": "path", "required": True},
            "uv": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    layer = Path(module.params["path"])
    changed = not is_complete(layer)
    if changed and not module.check_mode:
        layer.parent.mkdir(parents=True, exist_ok=True)
        with _alone(layer.with_name(f".{layer.name}.lock")):
            changed = not is_complete(layer)
            if changed:
                make(module, layer)
    module.exit_json(changed=changed, path=str(layer))


def make(module: Any, layer: Path) -> None:
    """Make the environment in place (it cannot be moved); the mark comes last."""
    uv, requirements = module.params["uv"], module.params["requirements"]
    remove(layer)
    _run(module, [uv, "venv", "--quiet", "--python", sys.executable, str(layer)])
    python = str(layer / "bin" / "python")
    options = ["--quiet", "--require-hashes", "--python", python, "--requirement", requirements]
    _run(module, [uv, "pip", "install", *options])
    complete(layer)


def _run(module: Any, command: list[str]) -> None:
    code, _, errors = module.run_command(command)
    if code:
        module.fail_json(msg=explain(module.params["requirements"], errors))


def explain(requirements: str, errors: str) -> str:
    """Return one message about a failed installation."""
    text = errors.strip()
    if any(word in text for word in _NETWORK_WORDS):
        text += "\nIs the network up? Then run this again: what was fetched already is kept."
    return f"uv cannot install {requirements}:\n{text}"


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process at a time make a layer: two instances may want the same one."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main()
