"""Run every role's molecule scenarios: ``python tests/molecule.py [ROLE ...]``.

Those that need a cluster run where KUBECONFIG names one, those that need images of ours there where
E2E_CLUSTER_VARIABLES names a registry, too, and those that need Docker where a daemon answers;
elsewhere they are left out, with the reason.
Two at a time, since a scenario mostly waits. Prints a line for each and, where one fails, the end
of what molecule said; the last line is ``N passed, N failed`` and decides the exit code.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import yaml

_ROOT = Path(__file__).resolve().parents[1]
_LOGS = _ROOT / ".cache" / "molecule"
_CONFIG = _ROOT / ".config" / "molecule" / "config.yml"
_AT_ONCE = 2
_TIMEOUT_S = 600
_LONG_S = 1800  # a first build of images of ours fetches gigabytes, a node is started four times
_TAIL_LINES = 60
_BASE_IMAGE = "python:3.11-slim"


@dataclass(frozen=True)
class Scenario:
    """A scenario of a role."""

    role: str
    name: str

    @property
    def title(self) -> str:
        """Return what is printed."""
        return self.role if self.name == "default" else f"{self.role} ({self.name})"

    @property
    def log(self) -> Path:
        """Return the file that gets molecule's output."""
        return _LOGS / f"{self.role}-{self.name}.log"

    @property
    def needs(self) -> str:
        """Return what the scenario says that it needs; empty when nothing."""
        file = _ROOT / "roles" / self.role / "molecule" / self.name / "molecule.yml"
        needs = re.search(r"scenario_needs: (\w+)", file.read_text(encoding="utf-8"))
        return needs[1] if needs else ""

    @property
    def lacking(self) -> str:
        """Return what this machine has not got of what the scenario needs; empty when nothing."""
        return _LACKING[self.needs]() if self.needs else ""

    @property
    def limit_s(self) -> int:
        """Return how long the scenario may take."""
        return _LONG_S if self.needs in ("registry", "minikube") else _TIMEOUT_S


@dataclass(frozen=True)
class Outcome:
    """How a scenario went."""

    scenario: Scenario
    passed: bool
    seconds: float


def discover(roles: Iterable[str]) -> list[Scenario]:
    """Return the scenarios of ``roles``, or of all when none is named, by name."""
    wanted = set(roles)
    files = sorted(_ROOT.glob("roles/*/molecule/*/molecule.yml"))
    found = [Scenario(file.parts[-4], file.parts[-2]) for file in files]
    unknown = wanted - {scenario.role for scenario in found}
    if unknown:
        raise SystemExit(f"no scenario for: {', '.join(sorted(unknown))}")
    return [scenario for scenario in found if not wanted or scenario.role in wanted]


def run(scenario: Scenario) -> Outcome:
    """Run one scenario to its end; one that hangs is ended and cleaned up."""
    started = time.monotonic()
    with scenario.log.open("w", encoding="utf-8") as log:
        code = _molecule(scenario, "test", log.fileno())
        if code is None:
            log.write(f"\nended after {scenario.limit_s} s\n")
            log.flush()
            _molecule(scenario, "destroy", log.fileno())
    return Outcome(scenario, code == 0, time.monotonic() - started)


def _molecule(scenario: Scenario, verb: str, output: int) -> int | None:
    """Return molecule's exit code, or None when it took too long."""
    command = [str(_bin() / "molecule"), "--base-config", str(_CONFIG), verb, "-s", scenario.name]
    process = subprocess.Popen(
        command,
        cwd=_ROOT / "roles" / scenario.role,
        env=_environment(scenario),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that it is ended with all that it runs
    )
    try:
        return process.wait(scenario.limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _bin() -> Path:
    return Path(sys.executable).parent


def _environment(scenario: Scenario) -> dict[str, str]:
    """Return the environment: our Ansible first, plain output, and state that survives a crash."""
    state = _LOGS / f"{scenario.role}-{scenario.name}"
    state.mkdir(parents=True, exist_ok=True)
    return os.environ | {
        "PATH": f"{_bin()}{os.pathsep}{os.environ['PATH']}",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(state),
        "NO_COLOR": "1",
        "ANSIBLE_NOCOLOR": "1",
    }


def _lacking_cluster() -> str:
    """Return why nothing can be made on a cluster."""
    return "" if os.environ.get("KUBECONFIG") else "KUBECONFIG names no cluster"


def _lacking_registry() -> str:
    """Return why no image of ours gets to a cluster."""
    variables = os.environ.get("E2E_CLUSTER_VARIABLES")
    if not variables:
        known = "E2E_CLUSTER_VARIABLES names no file of variables (registry: ...)"
    elif not _told().get("registry"):
        known = f"{variables} names no registry"
    else:
        known = ""
    return _lacking_cluster() or known or _lacking_docker()


def _told() -> dict[str, object]:
    """Return what builds on the cluster are told; nothing where no file is named."""
    variables = os.environ.get("E2E_CLUSTER_VARIABLES")
    text = Path(variables).read_text(encoding="utf-8") if variables else ""
    told: dict[str, object] = yaml.safe_load(text) or {}
    return told


def _lacking_minikube() -> str:
    """Return why no minikube cluster is made; where one may be, its file of variables says so."""
    if _told().get("target") != "minikube":
        return "E2E_CLUSTER_VARIABLES names no file of variables with target: minikube"
    return "" if shutil.which("minikube") else "minikube is not installed"


def _lacking_docker() -> str:
    """Return why no image can be built here; the base image is fetched where it is not there."""
    for words in (["version"], ["image", "inspect", _BASE_IMAGE]):
        if _docker(words):
            continue
        if words == ["version"]:
            return "no Docker daemon answers"
        if not _docker(["pull", "--quiet", _BASE_IMAGE]):
            return f"the base image {_BASE_IMAGE} cannot be had"
    return ""


def _docker(words: list[str]) -> bool:
    try:
        done = subprocess.run(["docker", *words], capture_output=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


# What a scenario may say that it needs (scenario_needs), and what tells why that is not here.
_LACKING: dict[str, Callable[[], str]] = {
    "cluster": _lacking_cluster,
    "registry": _lacking_registry,
    "minikube": _lacking_minikube,
    "docker": _lacking_docker,
}


def main(roles: list[str]) -> int:
    """Run the scenarios; return the exit code."""
    scenarios = discover(roles)
    lacking = {scenario: scenario.lacking for scenario in scenarios}
    for scenario, reason in lacking.items():
        if reason:
            _say(f"molecule {scenario.title:<16} skipped: {reason}")
    scenarios = [scenario for scenario in scenarios if not lacking[scenario]]
    if roles and not scenarios:
        return 0
    _LOGS.mkdir(parents=True, exist_ok=True)
    outcomes = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for future in as_completed([pool.submit(run, scenario) for scenario in scenarios]):
            outcomes.append(future.result())
            _report(outcomes[-1])
    failed = sum(not outcome.passed for outcome in outcomes)
    _say(f"{len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed or not outcomes else 0


def _report(outcome: Outcome) -> None:
    word = "passed" if outcome.passed else "FAILED"
    _say(f"molecule {outcome.scenario.title:<16} {word} {outcome.seconds:6.1f} s")
    if not outcome.passed:
        lines = outcome.scenario.log.read_text(encoding="utf-8", errors="replace").splitlines()
        _say("\n".join(f"    {line}" for line in lines[-_TAIL_LINES:]))
        _say(f"    all of it: {outcome.scenario.log}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
