"""Jars get their name only when their checksum is right."""

import hashlib
from pathlib import Path

import pytest
from plugins.modules import maven_jars

CONTENT = b"the jar"
JAR = {
    "group": "org.example",
    "artifact": "thing",
    "version": "1.0",
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
}


class Downloader:
    """Delivers one answer after the other, as maven_artifact's would."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)

    def download(self, _scratch: str, _artifact: object, _verify: bool, target: str) -> None:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        Path(target).write_bytes(answer)


def fetch(downloader: Downloader, directory: Path) -> str | None:
    scratch = directory / "scratch"
    scratch.mkdir()
    return maven_jars.fetch_verified(downloader, None, JAR, scratch, directory)


def test_missing_and_damaged_jars_are_found(tmp_path: Path) -> None:
    assert maven_jars.missing_jars(tmp_path, [JAR]) == [JAR]
    (tmp_path / "thing-1.0.jar").write_bytes(CONTENT[:3])
    assert maven_jars.missing_jars(tmp_path, [JAR]) == [JAR]
    (tmp_path / "thing-1.0.jar").write_bytes(CONTENT)
    assert maven_jars.missing_jars(tmp_path, [JAR]) == []


@pytest.mark.parametrize("first", [b"half", ValueError("refused"), OSError("reset")])
def test_a_bad_answer_is_asked_for_again(tmp_path: Path, first: bytes | Exception) -> None:
    assert fetch(Downloader(first, CONTENT), tmp_path) is None
    assert (tmp_path / "thing-1.0.jar").read_bytes() == CONTENT


def test_a_jar_that_stays_wrong_never_gets_its_name(tmp_path: Path) -> None:
    fault = fetch(Downloader(b"a", b"b", b"c"), tmp_path)
    assert fault is not None
    assert "the lock file says" in fault
    assert not (tmp_path / "thing-1.0.jar").exists()
