#!/usr/bin/python
"""Bring a file from a pod, or into one: whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kube_api import WHERE, Kube, KubeError
from ansible.module_utils.pod_exec import run_in_pod, stream_from_pod, stream_to_pod

DOCUMENTATION = r"""
---
module: pod_file
short_description: Bring a file from a pod, or into one
description:
  - Compares checksums at the end, and gives the file its name only then.
    C(kubernetes.core.k8s_cp) takes a connection that was cut for the end of a file.
options:
  namespace: {description: Namespace., type: str, required: true}
  pod: {description: Pod; its image has sh and coreutils., type: str, required: true}
  file: {description: File on this machine., type: path, required: true}
  pod_file: {description: File in the pod., type: str, required: true}
  direction: {description: Which way., type: str, choices: [fetch, send], required: true}
  kubeconfig: {description: Empty takes the usual one., type: str, default: ""}
  context: {description: Empty takes the current one., type: str, default: ""}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
bytes: {description: Size of the file., type: int, returned: success}
"""

_PIECE = 256 * 1024
_CHECKSUM_S = 600.0
# Reads as many bytes as it was told, so that no end of the input has to reach it.
_TAKE = '''mkdir -p "$(dirname "$1")" && head -c "$2" >"$1" && sha256sum <"$1"'''


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **WHERE,
            "pod": {"type": "str", "required": True},
            "file": {"type": "path", "required": True},
            "pod_file": {"type": "str", "required": True},
            "direction": {"type": "str", "choices": ["fetch", "send"], "required": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    fetches = options["direction"] == "fetch"
    if module.check_mode:
        module.exit_json(changed=fetches, bytes=0)
    try:
        kube = Kube(options["kubeconfig"], options["context"])
        place = (kube, options["namespace"], options["pod"], options["pod_file"])
        file = Path(options["file"])
        size = fetch(*place, file) if fetches else send(*place, file)
    except (KubeError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=fetches, bytes=size)  # what is in a pod goes with it


def fetch(kube: Kube, namespace: str, pod: str, source: str, file: Path) -> int:
    """Write a pod's file to ``file``; return its size. Raises `KubeError` and `OSError`."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as partial:
            digest = hashlib.sha256()
            command = ["cat", source]
            stream_from_pod(kube, namespace, pod, command, _both(partial.write, digest.update))
            partial.flush()
            os.fsync(partial.fileno())
            size = partial.tell()
        code, output, errors = run_in_pod(kube, namespace, pod, ["sha256sum", source], _CHECKSUM_S)
        if code or output.split()[0] != digest.hexdigest():
            raise KubeError(f"{source} of {pod} did not arrive whole: {errors or 'try again'}")
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise
    return size


def _both(first: Callable[[bytes], Any], second: Callable[[bytes], Any]) -> Callable[[bytes], None]:
    def take(piece: bytes) -> None:
        first(piece)
        second(piece)

    return take


def send(kube: Kube, namespace: str, pod: str, target: str, file: Path) -> int:
    """Write ``file`` to a pod's file; return its size. Raises `KubeError` and `OSError`."""
    size, digest = file.stat().st_size, hashlib.sha256()
    command = ["sh", "-ec", _TAKE, "sh", target, str(size)]
    printed = stream_to_pod(kube, namespace, pod, command, _pieces(file, size, digest.update))
    if printed.split()[:1] != [digest.hexdigest()]:
        raise KubeError(f"{file} did not arrive whole in {pod}: try again")
    return size


def _pieces(file: Path, size: int, seen: Callable[[bytes], Any]) -> Iterator[bytes]:
    """Yield the first ``size`` bytes, even of a file that grows."""
    with file.open("rb") as source:
        while size > 0 and (piece := source.read(min(_PIECE, size))):
            size -= len(piece)
            seen(piece)
            yield piece


if __name__ == "__main__":
    main()
