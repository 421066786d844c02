"""Trained models as versioned files: checked when read, `current` switched atomically.

MODEL_DIR/FEED/current                    the version in service, empty for none
MODEL_DIR/FEED/VERSION/weights.npz        the arrays
MODEL_DIR/FEED/VERSION/manifest.json      checksum, training window, scores, decision
MODEL_DIR/FEED/last_training.json         the manifest of the newest run, promoted or refused
MODEL_DIR/FEED/training.lock              held by the run under way, with its process id
"""

import fcntl
import hashlib
import io
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import msgspec
import numpy as np

from bitcoin_forecast_app.errors import ArtefactError, TrainingUnderWayError
from bitcoin_forecast_app.features import EVEN, ODD
from bitcoin_forecast_app.model import Model
from common.log import get_logger

__all__ = ["FORMAT", "Registry", "code_hash"]

FORMAT: Final = 2
_KEPT: Final = 20  # versions; older ones that are not in service go

_log = get_logger(__name__)


def code_hash() -> str:
    """Return a hash of this package's sources, so a model tells which code made it."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class Registry:
    """The models of one feed. Readers need no lock; one trainer writes at a time."""

    def __init__(self, model_dir: Path, feed: str) -> None:
        self.directory = model_dir / feed

    @property
    def current(self) -> str:
        """Return the version in service, empty for none."""
        try:
            return (self.directory / "current").read_text().strip()
        except FileNotFoundError:
            return ""

    def versions(self) -> list[str]:
        """Return all versions, newest first (their names begin with the time)."""
        found = (path.parent.name for path in self.directory.glob("*/manifest.json"))
        return sorted(found, reverse=True)

    def manifest(self, version: str) -> dict[str, Any]:
        """Return what is known of a version.

        Raises `ArtefactError` where the file is missing or no JSON object.
        """
        return _read_json(self.directory / version / "manifest.json")

    def last_training(self) -> dict[str, Any]:
        """Return the manifest of the newest training run, empty before the first."""
        try:
            return _read_json(self.directory / "last_training.json")
        except ArtefactError:
            return {}

    @property
    def trained_at(self) -> datetime | None:
        """Return when the newest training run was, None before the first."""
        try:
            return datetime.fromisoformat(str(self.last_training()["trained_at"]))
        except (KeyError, ValueError):
            return None

    def load(self, version: str) -> Model:
        """Return a version's model.

        Raises `ArtefactError` where it is corrupt, incomplete or made for other features.
        """
        manifest = self.manifest(version)
        if manifest.get("format") != FORMAT:
            raise ArtefactError(f"{version}: format {manifest.get('format')}, not {FORMAT}")
        if manifest.get("features") != [*EVEN, *ODD]:
            raise ArtefactError(f"{version}: made for other features")
        try:
            content = (self.directory / version / "weights.npz").read_bytes()
        except OSError as error:
            raise ArtefactError(f"{version}: {error}") from error
        if hashlib.sha256(content).hexdigest() != manifest.get("sha256"):
            raise ArtefactError(f"{version}: weights.npz does not match its checksum")
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return Model.from_arrays(version, dict(arrays))
        except (BadZipFile, ValueError, OSError) as error:
            raise ArtefactError(f"{version}: {error}") from error

    def load_current(self) -> Model | None:
        """Return the model in service; a corrupt one is refused and the one before it is used."""
        current = self.current
        if not current:
            return None
        older = [version for version in self.promoted() if version < current]
        for version in (current, *older):
            try:
                return self.load(version)
            except ArtefactError as error:
                _log.error("model refused", version=version, error=str(error))
        return None

    def promoted(self) -> list[str]:
        """Return the versions that have been in service, newest first."""

        def was(version: str) -> bool:
            try:
                return bool(self.manifest(version).get("promoted"))
            except ArtefactError:
                return False

        return [version for version in self.versions() if was(version)]

    @contextmanager
    def training(self) -> Iterator[None]:
        """Be the one that trains; the lock goes with the process, however it ends.

        Raises `TrainingUnderWayError` where another one does.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "training.lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise TrainingUnderWayError(
                    f"a training run is under way (process {file.read().strip() or 'unknown'}); "
                    "it ends within a minute or two: wait for it, then try again"
                ) from error
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def save(self, model: Model, manifest: Mapping[str, Any]) -> None:
        """Write a version; it appears under its name only when complete."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **model.arrays())
        content = buffer.getvalue()
        temporary = self.directory / f".{model.version}"
        temporary.mkdir(parents=True, exist_ok=True)
        (temporary / "weights.npz").write_bytes(content)
        full = {**manifest, "format": FORMAT, "sha256": hashlib.sha256(content).hexdigest()}
        full["features"] = [*EVEN, *ODD]
        (temporary / "manifest.json").write_bytes(_json(full))
        temporary.rename(self.directory / model.version)
        self._write("last_training.json", _json(full))
        for old in self.versions()[_KEPT:]:
            if old != self.current:
                shutil.rmtree(self.directory / old)

    def switch(self, version: str) -> None:
        """Put ``version`` in service, none where it is empty; readers see the old or the new."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write("current", version.encode() + b"\n")

    def _write(self, name: str, content: bytes) -> None:
        temporary = self.directory / f".{name}.{os.getpid()}"
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.directory / name)


def _json(document: Mapping[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        raise ArtefactError(f"{path.parent.name}: {path.name}: {error}") from error
