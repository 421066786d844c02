#!/usr/bin/python
"""Fetch jars, pinned by SHA-256, in parallel."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.maven_repository import default_repository, library

DOCUMENTATION = r"""
---
module: maven_jars
short_description: Have exactly the jars of a lock file in a directory
description:
  - Fetches what is missing or differs from its SHA-256, by the downloader of
    community.general.maven_artifact in several threads (one task for each of some sixty jars
    takes half a minute, nearly all of it for starting Python).
  - A file gets its final name only after its SHA-256 is right.
options:
  path: {description: Directory of the jars., type: path, required: true}
  jars:
    description: What must be there.
    type: list
    elements: dict
    required: true
    suboptions:
      group: {description: Group id., type: str, required: true}
      artifact: {description: Artifact id., type: str, required: true}
      version: {description: Version., type: str, required: true}
      sha256: {description: SHA-256 of the jar., type: str, required: true}
  repository_url: {description: A mirror; the default is that of maven_artifact., type: str}
  timeout: {description: Seconds for one request., type: int, default: 20}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
fetched: {description: Names of the jars that were fetched., type: list, returned: always}
"""

_THREADS = 8
_ATTEMPTS = 3


def main() -> None:
    jar = {
        name: {"type": "str", "required": True}
        for name in ("group", "artifact", "version", "sha256")
    }
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "jars": {"type": "list", "elements": "dict", "required": True, "options": jar},
            "repository_url": {"type": "str"},
            "timeout": {"type": "int", "default": 20},
            # What the downloader's requests read beside the timeout:
            "validate_certs": {"type": "bool", "default": True},
            "unredirected_headers": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    directory = Path(module.params["path"])
    wrong = missing_jars(directory, module.params["jars"])
    if wrong and not module.check_mode:
        directory.mkdir(parents=True, exist_ok=True)
        faults = _fetch_all(module, directory, wrong)
        if faults:
            module.fail_json(msg=_complaint(faults, len(wrong)))
    module.exit_json(changed=bool(wrong), fetched=[file_name(jar) for jar in wrong])


def file_name(jar: dict[str, str]) -> str:
    """Return the name under which a jar is kept."""
    return f"{jar['artifact']}-{jar['version']}.jar"


def sha256_of(path: Path) -> str | None:
    """Return the checksum of a file, or None when it is not there."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def missing_jars(directory: Path, jars: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Return the jars that are absent or differ from their checksum."""
    return [jar for jar in jars if sha256_of(directory / file_name(jar)) != jar["sha256"]]


def _fetch_all(module: Any, directory: Path, jars: list[dict[str, str]]) -> list[str]:
    maven = library()
    base = module.params["repository_url"] or default_repository()
    downloader = maven.MavenDownloader(module, base)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".fetch-") as scratch:

        def fetch(jar: dict[str, str]) -> str | None:
            artifact = maven.Artifact(jar["group"], jar["artifact"], jar["version"], None)
            return fetch_verified(downloader, artifact, jar, Path(scratch), directory)

        with ThreadPoolExecutor(_THREADS) as pool:
            return [fault for fault in pool.map(fetch, jars) if fault]


def fetch_verified(
    downloader: Any, artifact: Any, jar: dict[str, str], scratch: Path, directory: Path
) -> str | None:
    """Fetch one jar under its final name; return what went wrong, or None."""
    name = file_name(jar)
    fault = ""
    for _ in range(_ATTEMPTS):
        part = scratch / name
        try:
            downloader.download(str(scratch), artifact, False, str(part))
        except (ValueError, OSError) as error:
            fault = f"{name}: {error}"
            continue
        found = sha256_of(part)
        if found == jar["sha256"]:
            os.replace(part, directory / name)
            return None
        fault = f"{name}: SHA-256 is {found}, the lock file says {jar['sha256']}"
    return fault


def _complaint(faults: list[str], wanted: int) -> str:
    return (
        f"{len(faults)} of {wanted} jars cannot be fetched. First: {faults[0]}. "
        "Is the network up? Behind a mirror, add -e kafka_jars_repository_url=ADDRESS; "
        "then run this again."
    )


if __name__ == "__main__":
    main()
