"""The Kafka and ZooKeeper jars for tests: the locked files of the role ``kafka_jars``."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

__all__ = ["provide_jars"]

_ROOT = Path(__file__).parents[2]
_LOCK = _ROOT / "roles" / "kafka_jars" / "vars" / "main.yml"
_COMPLETE = ".complete"


def provide_jars() -> Path:
    """Return a directory with the jars, fetched by the role where they are not there yet.

    BITCOIN_PREDICTION_TEST_JARS names a directory to use; the default is in the user's cache.
    Raises `RuntimeError` with the role's own words where they cannot be fetched.
    """
    named = os.environ.get("BITCOIN_PREDICTION_TEST_JARS")
    directory = Path(named).absolute() if named else _cache()
    if (directory / _COMPLETE).exists() or (named and list(directory.glob("kafka_*.jar"))):
        return directory
    _run_role(directory)
    (directory / _COMPLETE).touch()
    return directory


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    lock = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]
    return Path(home) / "bitcoin-prediction" / f"test-jars-{lock}"


def _run_role(directory: Path) -> None:
    playbook = Path(sys.executable).with_name("ansible-playbook")
    command = [str(playbook), "-i", "localhost,", "-e", f"kafka_jars_dir={directory}"]
    answer = subprocess.run(
        [*command, str(_ROOT / "tests" / "support" / "jars.yml")],
        env=os.environ | {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise RuntimeError(f"the jars could not be fetched\n{answer.stdout}{answer.stderr}")
