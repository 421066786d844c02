#!/usr/bin/python
"""Build a service's image unless the same one is there already."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.image_build import (
    build_context,
    image_files,
    image_tag,
    pip_configuration,
)

DOCUMENTATION = r"""
---
module: container_image
short_description: Build a service's image unless the same one is there
description:
  - The tag is the hash of all that goes in, so an image with that tag is never built twice.
  - With BuildKit caches and secrets are mounted; without it the build is slower and the secrets
    exist in a layer of the first stage on the builder only, never in the image.
options:
  name: {description: Repository of the image., type: str, required: true}
  package: {description: Python package of the service., type: str, required: true}
  services: {description: Directory of all packages and the Dockerfile., type: path, required: true}
  shared:
    description: Packages that are part of every image.
    type: list
    elements: str
    default: [common]
  python_image: {description: Base image., type: str, required: true}
  title: {description: Label., type: str, required: true}
  network: {description: Network of the build's containers., type: str, default: ""}
  ca_bundle: {description: A company's certificate authorities (PEM)., type: str, default: ""}
  proxy: {description: HTTP proxy of the build., type: str, default: ""}
  pip_index_url: {description: Package index instead of PyPI., type: str, default: ""}
  registry: {description: The image is looked for and pushed there., type: str, default: ""}
  timeout: {description: Seconds for a build., type: float, default: 1800}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
image: {description: Repository and tag., type: str, returned: always}
builder: {description: BuildKit or the legacy one., type: str, returned: always}
size_mb: {description: Size of the image in MB., type: float, returned: when it is there}
seconds: {description: Time of the build., type: float, returned: always}
"""

_LOOK_S = 30.0
_PUSH_S = 900.0
_LAST_LINES = 15
_BUILDKIT_INSIDE = range(19, 23)  # major versions of the client


def main() -> None:
    word = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "package": {"type": "str", "required": True},
            "services": {"type": "path", "required": True},
            "shared": {"type": "list", "elements": "str", "default": ["common"]},
            "python_image": {"type": "str", "required": True},
            "title": {"type": "str", "required": True},
            "network": word,
            "ca_bundle": word,
            "proxy": {**word, "no_log": True},
            "pip_index_url": {**word, "no_log": True},
            "registry": word,
            "timeout": {"type": "float", "default": 1800.0},
        },
        supports_check_mode=True,
    )
    options = module.params
    services = Path(options["services"])
    try:
        files = image_files(services, options["shared"], options["package"])
        secrets = read_secrets(options)
    except OSError as error:
        module.fail_json(msg=f"cannot read {error.filename}: {error.strerror}")
    arguments = {"PACKAGE": options["package"], "PYTHON_IMAGE": options["python_image"]}
    registry = f"{options['registry'].rstrip('/')}/" if options["registry"] else ""
    image = f"{registry}{options['name']}:{image_tag(files, arguments)}"
    buildkit = has_buildkit()
    report = {"image": image, "builder": "BuildKit" if buildkit else "legacy", "seconds": 0.0}
    if size_mb(image) is not None or (registry and in_registry(image)):
        module.exit_json(changed=False, size_mb=size_mb(image), **report)
    if module.check_mode:
        module.exit_json(changed=True, **report)
    started = time.monotonic()
    context = build_context(files, secrets, buildkit=buildkit)
    build(module, image, arguments, context, secrets if buildkit else None)
    if registry:
        push(module, image)
    report["seconds"] = round(time.monotonic() - started, 1)
    module.exit_json(changed=True, size_mb=size_mb(image), **report)


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


def has_buildkit() -> bool:
    """Return whether `docker build` can use BuildKit: by buildx, or built into older clients."""
    if docker(["buildx", "version"], _LOOK_S).returncode == 0:
        return True
    client = docker(["version", "--format", "{{.Client.Version}}"], _LOOK_S).stdout.decode()
    major = client.partition(".")[0]
    return major.isdigit() and int(major) in _BUILDKIT_INSIDE


def size_mb(image: str) -> float | None:
    """Return the size of a local image in MB; None when it is not there."""
    found = docker(["image", "inspect", "--format", "{{.Size}}", image], _LOOK_S)
    return round(int(found.stdout) / 1e6, 1) if found.returncode == 0 else None


def in_registry(image: str) -> bool:
    """Return whether the registry has the image."""
    return docker(["manifest", "inspect", image], _LOOK_S).returncode == 0


def read_secrets(options: Mapping[str, Any]) -> dict[str, bytes]:
    """Return name to content of what the build needs and the image must not hold."""
    secrets: dict[str, bytes] = {}
    if options["ca_bundle"]:
        secrets["ca_bundle"] = Path(options["ca_bundle"]).expanduser().read_bytes()
    configuration = pip_configuration(
        options["pip_index_url"], options["proxy"], ca_bundle=bool(secrets)
    )
    if configuration:
        secrets["pip_conf"] = configuration.encode()
    return secrets


def build(
    module: Any,
    image: str,
    arguments: Mapping[str, str],
    context: bytes,
    mounted: Mapping[str, bytes] | None,
) -> None:
    """Build ``image``, by BuildKit with ``mounted`` secrets, or by the legacy builder (None).

    Ends the module with the builder's last lines when that fails.
    """
    options = module.params
    labels = {
        "title": options["title"],
        "version": image.rpartition(":")[2],
        "licenses": "MIT",
        "base.name": options["python_image"],
    }
    proxies = ("HTTP_PROXY", "HTTPS_PROXY") if options["proxy"] else ()  # kept out of the history
    words = ["build", "--quiet=false", "--tag", image]
    words += [f"--build-arg={name}={value}" for name, value in arguments.items()]
    words += [f"--build-arg={name}={options['proxy']}" for name in proxies]
    words += [f"--label=org.opencontainers.image.{key}={text}" for key, text in labels.items()]
    words += [f"--network={options['network']}"] if options["network"] else []
    with files_of(mounted or {}) as paths:
        words += [f"--secret=id={name},src={path}" for name, path in paths.items()]
        done = docker(
            [*words, "-"], options["timeout"], content=context, buildkit=mounted is not None
        )
    if done.returncode:
        lines = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
        module.fail_json(msg=explain(image, lines[-_LAST_LINES:], options))


@contextmanager
def files_of(secrets: Mapping[str, bytes]) -> Iterator[dict[str, Path]]:
    """Yield secrets as files that only we can read, for as long as the build takes."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, name) for name in secrets}
        for name, path in paths.items():
            path.touch(0o600)
            path.write_bytes(secrets[name])
        yield paths


def push(module: Any, image: str) -> None:
    """Push ``image``; ends the module with what to do when the registry refuses."""
    done = docker(["push", "--quiet", image], _PUSH_S)
    if done.returncode:
        host = image.partition("/")[0]
        said = done.stderr.decode(errors="replace").strip()[-400:]
        module.fail_json(
            msg=f"cannot push {image}: {said}\nIs the registry up, and are you logged in? "
            f"Type: docker login {host}"
        )


def explain(image: str, lines: Sequence[str], options: Mapping[str, Any]) -> str:
    """Return one message about a failed build."""
    text = "\n".join(lines)
    advice = ""
    if "Cannot connect to the Docker daemon" in text:
        advice = "\nDocker does not answer: start it, then run this again"
    elif "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
        advice = "\nBehind a company's certificate authority? Type: -e build_ca_bundle=/path/ca.pem"
    elif "pull access denied" in text or "manifest unknown" in text:
        base = options["python_image"]
        advice = f"\nThe base image {base} cannot be had; another: -e images_python_image=NAME"
    elif "Temporary failure in name resolution" in text or "Network is unreachable" in text:
        advice = "\nThe build has no network. Behind a proxy? Type: -e build_proxy=http://HOST:PORT"
    return f"cannot build {image}:\n{text}{advice}"


if __name__ == "__main__":
    main()
