"""What the repository promises of itself."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = [*ROOT.glob("requirements/*.txt"), *ROOT.glob("services/*/requirements.txt")]


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_locked_package_has_a_version_and_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    packages = re.split(r"(?m)^(?=[A-Za-z0-9])", text)[1:]
    assert packages
    for package in packages:
        assert re.match(r"[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==\S+", package, re.IGNORECASE), package
        assert "--hash=sha256:" in package, package.splitlines()[0]
    assert "://" not in text


def test_the_packages_that_users_name_are_locked() -> None:
    names = {
        match.group(1)
        for lock in LOCKS
        for match in re.finditer(r"(?m)^([a-z0-9-]+)==", lock.read_text())
    }
    named = {"ansible", "kubernetes", "openshift", "kafka-python", "tensorflow", "flask"}
    assert named | {"gunicorn", "molecule"} <= names


def test_services_share_one_version_of_each_package() -> None:
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for line in re.findall(r"(?m)^[a-z0-9._-]+==[^\\]+", lock.read_text()):
            name, _, rest = line.partition("==")
            version, _, marker = rest.partition(";")
            versions.setdefault(f"{name} {marker.strip()}", set()).add(version.strip())
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_no_file_is_a_third_party_bundle_or_large() -> None:
    for name in tracked():
        path = ROOT / name
        if path.is_file():
            assert not re.search(r"\.min\.(js|css)$|(^|/)node_modules/", name), name
            assert path.stat().st_size <= 500_000, name


def test_make_help_lists_the_targets() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for target in ("build", "test", "check", "audit", "bench", "lock"):
        assert f"make {target} " in shown.stdout
