#!/usr/bin/python
"""Make code layers: packages copied, compiled, and only then visible under their name."""

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
short_description: Copy packages into immutable layers
options:
  layers:
    description: C(path) of each layer and the C(packages) in it; other keys are ignored.
    type: list
    elements: dict
    required: true
  sources: {description: Directory of the packages., type: path, required: true}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
made: {description: Paths of the layers that were made., type: list, returned: always}
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "layers": {"type": "list", "elements": "dict", "required": True},
            "sources": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    missing = [each for each in module.params["layers"] if not is_complete(Path(each["path"]))]
    if not module.check_mode:
        for each in missing:
            make(Path(each["path"]), Path(module.params["sources"]), each["packages"])
    module.exit_json(changed=bool(missing), made=[each["path"] for each in missing])


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
