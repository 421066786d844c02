#!/usr/bin/python
"""Build a service's image unless the same one is there already."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.docker_cli import (
    architecture,
    build_command,
    docker,
    in_registry,
    size_mb,
)
from ansible.module_utils.image_build import (
    build_arguments,
    build_context,
    description_of,
    image_files,
    image_name,
    npm_configuration,
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
  npm_registry: {description: Registry instead of npm's own., type: str, default: ""}
  platform: {description: As C(linux/arm64); empty takes the daemon's., type: str, default: ""}
  architectures:
    description: What the nodes are; the image must be of one of them. Empty takes any.
    type: list
    elements: str
    default: []
  registry:
    description: The image is looked for there, and pushed when it is not.
    type: str
    default: ""
  timeout: {description: Seconds for a build., type: float, default: 1800}
author: ["bitcoin-prediction"]
"""

RETURN = r"""
image: {description: Repository and tag., type: str, returned: always}
builder: {description: BuildKit or the legacy one., type: str, returned: always}
size_mb: {description: Size of the image in MB., type: float, returned: when it is there}
seconds: {description: Time of the build., type: float, returned: always}
"""

_PUSH_S = 900.0
_UNREACHED = (
    "Temporary failure in name resolution",
    "Network is unreachable",
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
)
# Python's, curl's and npm's words for a certificate of nobody they know.
_UNTRUSTED = (
    "CERTIFICATE_VERIFY_FAILED",
    "certificate verify failed",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "UNABLE_TO_GET_ISSUER_CERT",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
)
# BuildKit's and the legacy builder's words for a registry that Docker does not get through to.
_NO_REGISTRY = ("failed to do request: ", '/v2/": ')
_LAST_LINES = 15


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
            "npm_registry": {**word, "no_log": True},
            "platform": word,
            "architectures": {"type": "list", "elements": "str", "default": []},
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
    arguments = build_arguments(options["package"], options["python_image"])
    image = image_name(options, options["name"], files, arguments)
    command, buildkit = build_command()
    report = {"image": image, "builder": "BuildKit" if buildkit else "legacy", "seconds": 0.0}
    size = size_mb(image)
    if in_registry(image) if options["registry"] else size is not None:
        module.exit_json(changed=False, size_mb=size, **report)
    refuse_other_architecture(module)
    if module.check_mode:
        module.exit_json(changed=True, size_mb=size, **report)
    started = time.monotonic()
    if size is None:
        context = build_context(files, secrets, buildkit=buildkit)
        words = [*command, *(f"--build-arg={name}={value}" for name, value in arguments.items())]
        build(module, words, image, context, secrets if buildkit else None)
    if options["registry"]:
        push(module, image)
    report["seconds"] = round(time.monotonic() - started, 1)
    module.exit_json(changed=True, size_mb=size_mb(image), **report)


def refuse_other_architecture(module: Any) -> None:
    """End the module when no node could run what would be built."""
    nodes = module.params["architectures"]
    built = module.params["platform"].partition("/")[2].partition("/")[0] or architecture()
    if nodes and built and built not in nodes:
        module.fail_json(
            msg=f"the nodes are {' and '.join(nodes)}, and Docker builds for {built} here. "
            f"Type: -e images_platform=linux/{nodes[0]}   (that needs BuildKit with QEMU), or "
            "build on a machine of that architecture"
        )


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
    if options["npm_registry"]:
        secrets["npmrc"] = npm_configuration(options["npm_registry"]).encode()
    return secrets


def build(
    module: Any,
    command: Sequence[str],
    image: str,
    context: bytes,
    mounted: Mapping[str, bytes] | None,
) -> None:
    """Build ``image``, by BuildKit with ``mounted`` secrets, or by the legacy builder (None).

    Ends the module with the builder's last lines when that fails.
    """
    options = module.params
    labels = {
        "title": options["title"],
        "description": description_of(options["title"]),
        "version": image.rpartition(":")[2],
        "licenses": "MIT",
        "base.name": options["python_image"],
    }
    proxies = ("HTTP_PROXY", "HTTPS_PROXY") if options["proxy"] else ()  # kept out of the history
    words = [*command, "--quiet=false", "--tag", image]
    words += [f"--build-arg={name}={options['proxy']}" for name in proxies]
    words += [f"--label=org.opencontainers.image.{key}={text}" for key, text in labels.items()]
    words += [f"--network={options['network']}"] if options["network"] else []
    words += [f"--platform={options['platform']}"] if options["platform"] else []
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
    elif any(words in text for words in _UNTRUSTED):
        advice = "\nBehind a company's certificate authority? Type: -e build_ca_bundle=/path/ca.pem"
    elif "pull access denied" in text or "manifest unknown" in text:
        base = options["python_image"]
        advice = f"\nThe base image {base} cannot be had; another: -e python_image=NAME"
    elif "toomanyrequests" in text:
        advice = (
            "\nDocker Hub gives no more for now: docker login, or a mirror: -e python_image=NAME"
        )
    elif any(words in text for words in _NO_REGISTRY):
        base = options["python_image"]
        advice = (
            f"\nDocker does not get through to the registry of the base image {base}: check the "
            "network, Docker's own proxy and authorities; a mirror: -e python_image=NAME"
        )
    elif "API version" in text:
        advice = "\nDocker here and in the node are too far apart. Type: -e images_delivery=load"
    elif any(words in text for words in _UNREACHED):
        advice = (
            "\nThe build does not reach what it fetches packages from. Behind a proxy? Type: "
            "-e build_proxy=http://HOST:PORT   An index of your own: -e pip_index_url=URL"
        )
    return f"cannot build {image}:\n{text}{advice}"


if __name__ == "__main__":
    main()
