#!/usr/bin/python
"""Make a code layer: packages copied, compiled, and only then visible under their name."""

from __future__ import annotations

import compileall
import os
import shutil
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.layer import complete, is_complete, remove, source_files

DOCUMENTATION = r"""
---
module: code_layer
short_description: Copy packages into an immutable layer
options:
  path: {description: The layer., type: path, required: true}
  sources: {description: Directory of the packages., type: path, required: true}
  packages: {description: Names of the packages., type: list, elements: str, required: true}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
path: {description: The layer., type: str, returned: always}
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "sources": {"type": "path", "required": True},
            "packages": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    layer = Path(module.params["path"])
    changed = not is_complete(layer)
    if changed and not module.check_mode:
        make(layer, Path(module.params["sources"]), module.params["packages"])
    module.exit_json(changed=changed, path=str(layer))


def make(layer: Path, sources: Path, packages: list[str]) -> None:
    """Copy ``packages`` beside ``layer`` and give the copy its name at the end."""
    layer.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=layer.parent, prefix=f".{layer.name}-"))
    try:
        for package in packages:
            for file in source_files(sources / package):
                target = scratch / file.relative_to(sources)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, target)
        compileall.compile_dir(scratch, quiet=2, stripdir=str(scratch), prependdir=str(layer))
        complete(scratch)
        remove(layer)
        os.replace(scratch, layer)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
