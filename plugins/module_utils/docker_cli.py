"""The docker command line: every call has a limit, and none raises."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence

LOOK_S = 30.0
_BUILDKIT_INSIDE = range(19, 23)  # major versions of the client that need no buildx


def docker(
    words: Sequence[str], limit_s: float, *, content: bytes = b"", buildkit: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Run docker; a command that is missing or hangs returns a code and says so."""
    environment = {**os.environ, "DOCKER_BUILDKIT": "1" if buildkit else "0"}
    argv = ["docker", *words]
    try:
        return subprocess.run(  # noqa: S603 - no shell
            argv,
            input=content,
            capture_output=True,
            timeout=limit_s,
            check=False,
            env=environment,
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(argv, 127, b"", b"docker: command not found")
    except subprocess.TimeoutExpired:
        message = f"docker {words[0]}: no end within {limit_s:.0f} s".encode()
        return subprocess.CompletedProcess(argv, 124, b"", message)


def build_command() -> tuple[list[str], bool]:
    """Return the words that build an image for the daemon, and whether that is BuildKit.

    With buildx by its own name: a builder of its own container, which a user may have chosen, keeps
    what it built unless it is told to load it.
    """
    if docker(["buildx", "version"], LOOK_S).returncode == 0:
        return ["buildx", "build", "--load"], True
    client = docker(["version", "--format", "{{.Client.Version}}"], LOOK_S).stdout.decode()
    major = client.partition(".")[0]
    return ["build"], major.isdigit() and int(major) in _BUILDKIT_INSIDE


def architecture() -> str:
    """Return what the daemon builds for, as Kubernetes names it; empty when it does not answer."""
    found = docker(["version", "--format", "{{.Server.Arch}}"], LOOK_S)
    return found.stdout.decode().strip() if found.returncode == 0 else ""


def size_mb(image: str) -> float | None:
    """Return the size of a local image in MB; None when it is not there."""
    found = docker(["image", "inspect", "--format", "{{.Size}}", image], LOOK_S)
    return round(int(found.stdout) / 1e6, 1) if found.returncode == 0 else None


def in_registry(image: str) -> bool:
    """Return whether the registry has the image; one that the daemon calls insecure may be."""
    plain = ["--insecure"] if is_insecure(image.partition("/")[0]) else []
    return docker(["manifest", "inspect", *plain, image], LOOK_S).returncode == 0


def is_insecure(host: str) -> bool:
    """Return whether the daemon speaks plain HTTP with a registry."""
    if host.partition(":")[0] in ("localhost", "127.0.0.1"):
        return True
    found = docker(["info", "--format", "{{json .RegistryConfig.IndexConfigs}}"], LOOK_S)
    try:
        known = json.loads(found.stdout or b"{}") or {}
    except ValueError:
        return False
    return not known.get(host, {}).get("Secure", True)
