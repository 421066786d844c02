#!/usr/bin/python
"""Remove the layers that no instance refers to any more."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.layer import remove

DOCUMENTATION = r"""
---
module: layers_pruned
short_description: Remove the layers that no instance refers to
description:
  - A layer is in use as long as a slot's C(env) or a program's configuration of any instance names
    it. The idle slot keeps the release before the present one.
options:
  home: {description: Data home of all instances., type: path, required: true}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
removed: {description: Names of the layers that were removed., type: list, returned: always}
"""

_REFERENCES = ("*/slots/*/*/env", "*/etc/programs/*.conf")


def main() -> None:
    module = AnsibleModule(
        argument_spec={"home": {"type": "path", "required": True}}, supports_check_mode=True
    )
    home = Path(module.params["home"])
    unused = unused_layers(home)
    if not module.check_mode:
        for layer in unused:
            remove(layer)
            layer.with_name(f".{layer.name}.lock").unlink(missing_ok=True)
    module.exit_json(changed=bool(unused), removed=[layer.name for layer in unused])


def unused_layers(home: Path) -> list[Path]:
    """Return the layers whose path no file of an instance contains."""
    instances = home / "instances"
    texts = [file.read_text() for pattern in _REFERENCES for file in instances.glob(pattern)]
    used = "\n".join(texts)
    layers = [
        path for path in home.glob("layers/*/*") if path.is_dir() and not path.name.startswith(".")
    ]
    return sorted(layer for layer in layers if str(layer) not in used)


if __name__ == "__main__":
    main()
