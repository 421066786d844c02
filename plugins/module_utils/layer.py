"""Layers: directories named by the hash of what they were made from, complete or ignored."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

MARKER = ".complete"
_HASH_LENGTH = 16
_NOT_CODE = ("__pycache__", "node_modules", ".mypy_cache", ".pytest_cache", ".ruff_cache")


def source_files(directory: Path) -> Iterator[Path]:
    """Yield the files of a package that belong into its code layer, in a fixed order."""
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if name not in _NOT_CODE)
        for name in sorted(names):
            if not name.endswith(".pyc") and not name.startswith("requirements"):
                yield Path(folder, name)


def code_hash(services: Path, packages: Iterable[str]) -> str:
    """Return the hash of the names and contents of all files of ``packages``."""
    digest = hashlib.sha256()
    for package in packages:
        for file in source_files(services / package):
            content = file.read_bytes()
            digest.update(f"{file.relative_to(services)}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()[:_HASH_LENGTH]


def venv_hash(requirements: Path) -> str:
    """Return the hash of a lock file and of the Python that it is installed for."""
    version = "{}.{}".format(*sys.version_info[:2])
    return hashlib.sha256(requirements.read_bytes() + version.encode()).hexdigest()[:_HASH_LENGTH]


def content_hash(file: Path) -> str:
    """Return the hash of one file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:_HASH_LENGTH]


def is_complete(layer: Path) -> bool:
    """Return whether a layer was finished."""
    return (layer / MARKER).exists()


def complete(layer: Path) -> None:
    """Mark a layer as finished."""
    (layer / MARKER).touch()


def remove(layer: Path) -> None:
    """Remove a layer, its mark first, so that a half-removed one counts as unfinished."""
    (layer / MARKER).unlink(missing_ok=True)
    shutil.rmtree(layer, ignore_errors=True)
