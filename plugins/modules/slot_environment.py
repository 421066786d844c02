#!/usr/bin/python
"""Write what a slot's process is told, for several slots at once."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: slot_environment
short_description: Write the files C(env) of services' slots
options:
  slots_dir: {description: Directory of the instance's slots., type: path, required: true}
  services:
    description: C(name), C(slot) and C(environment) of each; other keys are ignored.
    type: list
    elements: dict
    required: true
author: ["bitcoin-prediction"]
"""

RETURN = r"""
written: {description: Files that were written., type: list, returned: always}
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "slots_dir": {"type": "path", "required": True},
            "services": {"type": "list", "elements": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    texts = {
        Path(module.params["slots_dir"], each["name"], str(each["slot"]), "env"): text_of(
            each["environment"]
        )
        for each in module.params["services"]
    }
    changed = {file: text for file, text in texts.items() if not holds(file, text)}
    if not module.check_mode:
        for file, text in changed.items():
            write(file, text)
    module.exit_json(changed=bool(changed), written=[str(file) for file in changed])


def text_of(environment: Mapping[str, object]) -> str:
    """Return the lines that a shell reads, in a fixed order."""
    return "".join(
        f"{name}={shlex.quote(str(value))}\n" for name, value in sorted(environment.items())
    )


def holds(file: Path, text: str) -> bool:
    """Return whether ``file`` is there with this content."""
    try:
        return file.read_text() == text
    except OSError:
        return False


def write(file: Path, text: str) -> None:
    """Write ``file`` all at once, readable by its owner alone."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_name("env.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    os.replace(part, file)


if __name__ == "__main__":
    main()
