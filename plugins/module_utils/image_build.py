"""What goes into a service's image: files, tag, context, and the Dockerfile for each builder."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ansible.module_utils.layer import source_files

DOCKERFILE = "Dockerfile"
_TAG_LENGTH = 16
_MOUNT = re.compile(r"--mount=\S+\s*(\\\n\s*)?")
_SECRETS = ".secrets"


def image_files(services: Path, packages: Iterable[str], package: str) -> dict[str, bytes]:
    """Return name to content of every file that an image of ``package`` is made from."""
    files = {
        str(file.relative_to(services)): file.read_bytes()
        for name in sorted({*packages, package})
        for file in source_files(services / name)
    }
    for name in (DOCKERFILE, f"{package}/requirements.txt"):
        files[name] = (services / name).read_bytes()
    return dict(sorted(files.items()))


def image_tag(files: Mapping[str, bytes], arguments: Mapping[str, str]) -> str:
    """Return the hash of all that goes in; secrets are no part of it."""
    digest = hashlib.sha256()
    for name, value in sorted(arguments.items()):
        digest.update(f"{name}={value}\0".encode())
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:_TAG_LENGTH]


def build_arguments(package: str, python_image: str) -> dict[str, str]:
    """Return the arguments of an image's build."""
    return {"PACKAGE": package, "PYTHON_IMAGE": python_image}


def image_name(
    options: Mapping[str, Any], name: str, files: Mapping[str, bytes], arguments: Mapping[str, str]
) -> str:
    """Return registry, ``name`` and tag; ``platform`` empty is whatever the builder makes."""
    platform, registry = options["platform"], options["registry"]
    named_by = {**arguments, **({"platform": platform} if platform else {})}
    prefix = f"{registry.rstrip('/')}/" if registry else ""
    return f"{prefix}{name}:{image_tag(files, named_by)}"


def legacy_dockerfile(text: str, *, secrets: bool) -> str:
    """Return the Dockerfile for the builder before BuildKit: no mounts, secrets by copy.

    They are copied into the first stage, of which the image keeps no layer.
    """
    plain = _MOUNT.sub("", text)
    if not secrets:
        return plain
    stage = re.search(r"^FROM .+ AS .+$", plain, re.MULTILINE)
    if stage is None:
        raise ValueError("the Dockerfile has no named first stage to copy the secrets into")
    return f"{plain[: stage.end()]}\nCOPY {_SECRETS}/ /run/secrets/{plain[stage.end() :]}"


def build_context(
    files: Mapping[str, bytes], secrets: Mapping[str, bytes], *, buildkit: bool
) -> bytes:
    """Return a tar archive for ``docker build -``: equal contents give equal bytes.

    ``secrets`` are in it only for the builder that knows no secret mounts.
    """
    content = dict(files)
    if not buildkit:
        text = files[DOCKERFILE].decode()
        content[DOCKERFILE] = legacy_dockerfile(text, secrets=bool(secrets)).encode()
        content |= {f"{_SECRETS}/{name}": value for name, value in secrets.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, value in content.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(value), 0o644
            archive.addfile(entry, io.BytesIO(value))
    return buffer.getvalue()


def pip_configuration(index_url: str, proxy: str, *, ca_bundle: bool) -> str:
    """Return a pip.conf; empty when there is nothing to configure."""
    lines = [
        f"index-url = {index_url}" if index_url else "",
        f"proxy = {proxy}" if proxy else "",
        "cert = /run/secrets/ca_bundle" if ca_bundle else "",
    ]
    body = "\n".join(line for line in lines if line)
    return f"[global]\n{body}\n" if body else ""


def npm_configuration(registry: str) -> str:
    """Return an .npmrc; an address with ``user:password@`` becomes npm's own form."""
    scheme, _, rest = registry.partition("://")
    credentials, at, place = rest.rpartition("@")
    place = place.rstrip("/")
    lines = [f"registry={scheme}://{place}/"]
    if at:
        token = base64.b64encode(unquote(credentials).encode()).decode()
        lines.append(f"//{place}/:_auth={token}")
    return "\n".join(lines) + "\n"


def description_of(title: str) -> str:
    """Return the label by which an image of ours is known."""
    return f"{title} of bitcoin-prediction"
