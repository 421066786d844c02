#!/usr/bin/python
"""Read the last lines of services' logs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: log_lines
short_description: Read the last lines of services' logs, in the order of their time
options:
  directory: {description: Directory of the logs., type: path, required: true}
  services: {description: Services; empty takes all., type: list, elements: str, default: []}
  tail: {description: Number of lines of each service., type: int, default: 50}
  pattern: {description: Regular expression of the lines wanted., type: str, default: ""}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
lines: {description: The lines, each with its service., type: list, returned: always}
files: {description: Path of each log by its prefix., type: dict, returned: always}
"""

_BLOCK_BYTES = 65536
_TIME = re.compile(r"^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?)")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "services": {"type": "list", "elements": "str", "default": []},
            "tail": {"type": "int", "default": 50},
            "pattern": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    directory = Path(module.params["directory"])
    services = module.params["services"] or sorted(file.stem for file in directory.glob("*.log"))
    width = max((len(name) for name in services), default=0)
    files = {f"{name:<{width}} | ": directory / f"{name}.log" for name in services}
    pattern = re.compile(module.params["pattern"])
    found = {
        prefix: last_matching(file, pattern, module.params["tail"])
        for prefix, file in files.items()
    }
    module.exit_json(
        changed=False,
        lines=merge(found),
        files={prefix: str(file) for prefix, file in files.items()},
    )


def last_matching(file: Path, pattern: re.Pattern[str], count: int) -> list[str]:
    """Return the last ``count`` lines that match, from the log and its rotated parts."""
    parts = [file, *sorted(file.parent.glob(f"{file.name}.*"), key=_rotation)]
    lines = (line for part in parts for line in backwards(part) if pattern.search(line))
    return list(islice(lines, count))[::-1]


def _rotation(part: Path) -> int:
    number = part.suffix.removeprefix(".")
    return int(number) if number.isdigit() else 0


def backwards(file: Path) -> Iterator[str]:
    """Yield the lines of a file from its end, reading no more than is asked for."""
    try:
        stream = file.open("rb")
    except OSError:
        return
    with stream:
        position, rest = stream.seek(0, 2), b""
        while position > 0:
            size = min(_BLOCK_BYTES, position)
            position = stream.seek(position - size)
            rest, *lines = (stream.read(size) + rest).split(b"\n")
            for line in reversed(lines):
                if line:
                    yield line.decode(errors="replace")
        if rest:
            yield rest.decode(errors="replace")


def merge(found: Mapping[str, Iterable[str]]) -> list[str]:
    """Return all lines by their time; one without a time stays with the line before it."""
    stamped = []
    for prefix, lines in found.items():
        stamp = ""
        for number, line in enumerate(lines):
            match = _TIME.match(line)
            stamp = match.group(1).replace(" ", "T").replace(",", ".") if match else stamp
            stamped.append((stamp, prefix, number, line))
    return [f"{prefix}{line}" for _, prefix, _, line in sorted(stamped)]


if __name__ == "__main__":
    main()
