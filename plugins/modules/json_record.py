#!/usr/bin/python
"""Merge values into a JSON file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: json_record
short_description: Merge values into a JSON file, all at once or not at all
options:
  path: {description: The file; made when it is not there., type: path, required: true}
  values: {description: What it must contain; mappings are merged., type: dict, required: true}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
record: {description: The whole content., type: dict, returned: always}
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "values": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    path = Path(module.params["path"])
    before = read(path)
    after = merged(before, module.params["values"])
    if after != before and not module.check_mode:
        part = path.with_name(f"{path.name}.part")
        part.write_text(json.dumps(after, indent=2, sort_keys=True) + "\n")
        os.replace(part, path)
    module.exit_json(changed=after != before, record=after, diff={"before": before, "after": after})


def read(path: Path) -> dict[str, Any]:
    """Return the file's mapping; empty when it is absent or was damaged."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return ``old`` with ``new`` over it; mappings are merged, everything else is replaced."""
    result = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(key), dict)
        result[key] = merged(old[key], value) if both else value
    return result


if __name__ == "__main__":
    main()
