"""The figures of a Kubernetes cluster, where one is named as for the contract's tests."""

import datetime
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from kubernetes.utils import parse_quantity
from tests.e2e.cluster_platform import ClusterPlatform, why_no_cluster
from tests.e2e.local_platform import wait_until

from benchmarks.floors import empty_play
from benchmarks.lifecycle import GIB, change, fresh_platform
from benchmarks.table import Row

__all__ = ["measure"]

_NAME = "app.kubernetes.io/name"
_START_S = 180
_SETTLE_S = 20
# What a project without a layer for its packages has: they follow the code.
_PLAIN = """FROM {base}
COPY . /app/
RUN pip install --quiet {options} -r /app/web_app/requirements.txt
ENV PYTHONPATH=/app
CMD ["python", "-m", "web_app"]
"""


def measure() -> Iterator[Row]:
    """Yield the rows; none, with the reason, where no cluster is named."""
    if why := why_no_cluster():
        print(f"no figures of a cluster: {why}", file=sys.stderr)
        return
    with fresh_platform(ClusterPlatform) as platform:
        platform.succeed("build.yml", market_data="simulated", **platform.ports)
        platform.succeed("shutdown.yml", mode="delete", confirm="true")
        yield from deployed(platform)
        yield again(platform)
        yield from requested(platform)
        yield updated(platform)


def deployed(platform: ClusterPlatform) -> Iterator[Row]:
    """All workloads from built images, against the slowest of them: in it, and by itself."""
    platform.succeed("build.yml", market_data="simulated", **platform.ports)
    begun = min(map(created, platform.workload_objects()))
    pods = running(platform)
    seconds = (max(map(ready_since, pods)) - begun).total_seconds()
    within = {service_of(pod): (ready_since(pod) - created(pod)).total_seconds() for pod in pods}
    alone = {service: start_alone(platform, service) for service in within}
    for own, how, aim in (
        (within, "at the same time", "1.3 x the slowest"),
        (alone, "with all others up", "-"),
    ):
        slowest = max(own, key=lambda service: own[service])
        label = f"deploy of all workloads to all ready, slowest {how}"
        met = seconds <= 1.3 * own[slowest] if aim != "-" else None
        yield Row(label, seconds, own[slowest], f"the start of {slowest}, {how}", aim, met=met)


def start_alone(platform: ClusterPlatform, service: str) -> float:
    """Replace a service's pods while all others run; return seconds until the new one is ready."""
    wait_until(lambda: all(map(is_ready, running(platform))), _START_S, "ready pods")
    time.sleep(_SETTLE_S)  # those that lost a broker with the one before have found it again
    before = {pod["metadata"]["uid"] for pod in platform.objects("Pod")}
    platform.kill_pods(service, grace_s=20)
    born, end = 0.0, time.monotonic() + _START_S
    while time.monotonic() < end:
        new = [
            pod
            for pod in platform.objects("Pod")
            if service_of(pod) == service and pod["metadata"]["uid"] not in before
        ]
        born = born or (time.monotonic() if new else 0.0)
        if any(map(is_ready, new)):
            return time.monotonic() - born
        time.sleep(0.2)
    raise AssertionError(f"{service} was not ready again within {_START_S} s")


def again(platform: ClusterPlatform) -> Row:
    """A build that finds nothing to do."""
    floor = empty_play()
    run = platform.succeed("build.yml")
    label = f"cluster: build.yml again (changed={run.changed})"
    met = run.changed == 0 and run.seconds <= 30
    return Row(label, run.seconds, floor, "an empty play", "30 s, changed=0", met=met)


def requested(platform: ClusterPlatform) -> Iterator[Row]:
    """What all pods request, and the largest surge pod, against 4 CPUs and 6 GB."""
    each = [(workload, *requests_of(workload)) for workload in platform.workload_objects()]
    total = [0.0, 0.0]
    surge = [0.0, 0.0]
    for workload, *amounts in each:
        for number, amount in enumerate(amounts):
            total[number] += amount * int(workload["spec"]["replicas"])
            if "strategy" in workload["spec"]:
                surge[number] = max(surge[number], amount)
    for what, number, most, unit in (("CPU", 0, 4.0, "cores"), ("memory", 1, 6e9 / GIB, "GiB")):
        asked = total[number] + surge[number]
        label = f"requests of all pods and a surge pod, {what}"
        aim = f"{most:.2f} {unit}"
        yield Row(label, asked, total[number], "no surge pod", aim, unit=unit, met=asked <= most)


def updated(platform: ClusterPlatform) -> Row:
    """A changed line in web-app until the new version serves, against the plain way."""
    change(platform.checkout / "services" / "web_app" / "__main__.py")
    update = platform.succeed("update.yml", service="web-app")
    plain = plain_update(platform)
    what = "docker build, push, kubectl rollout restart and status"
    met = update.changed > 0 and update.seconds <= plain / 2
    label = "cluster: update web-app, one line changed"
    return Row(label, update.seconds, plain, what, "half of the floor", met=met)


def plain_update(platform: ClusterPlatform) -> float:
    """Return the seconds of the plain way for such a change, packages installed after the code.

    The pods are started anew in the image they have, which spares them the pull.
    """
    told = yaml.safe_load(Path(os.environ["E2E_CLUSTER_VARIABLES"]).read_text())
    name = told.get("images_build_network")
    network = [f"--network={name}"] if name else []
    image = f"{told['registry']}/bitcoin-prediction/plain:latest"
    space = ["-n", platform.namespace]
    target = "deployment/web-app"
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        for package in ("common", "web_app"):
            shutil.copytree(platform.checkout / "services" / package, context / package)
        options = ""
        if bundle := told.get("images_ca_bundle") or told.get("build_ca_bundle"):
            shutil.copy(bundle, context / "ca.pem")
            options = "--cert /app/ca.pem"
        base = told.get("python_image", "python:3.11-slim")
        (context / "Dockerfile").write_text(_PLAIN.format(base=base, options=options))
        build = ["docker", "build", "--quiet", *network, "--tag", image, folder]
        run(*build)  # what a developer has built before
        change(context / "web_app" / "__main__.py")
        start = time.perf_counter()
        run(*build)
        run("docker", "push", "--quiet", image)
        run("kubectl", "rollout", "restart", target, *space)
        run("kubectl", "rollout", "status", target, *space)
        return time.perf_counter() - start


def run(*words: str) -> None:
    """Run a command; what it says is shown where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def requests_of(workload: dict[str, Any]) -> tuple[float, float]:
    """Return cores and GiB that one pod of a workload requests."""
    asked = workload["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
    cpu, memory = map(parse_quantity, (asked["cpu"], asked["memory"]))
    return float(cpu), float(memory) / GIB


def running(platform: ClusterPlatform) -> list[dict[str, Any]]:
    """Return the pods that run, ready or not."""
    return [pod for pod in platform.objects("Pod") if pod["status"]["phase"] == "Running"]


def is_ready(pod: dict[str, Any]) -> bool:
    """Return whether a pod is ready."""
    return bool(condition(pod, "Ready").get("status") == "True")


def service_of(pod: dict[str, Any]) -> str:
    """Return the service that a pod is of."""
    return str(pod["metadata"]["labels"].get(_NAME, ""))


def created(item: dict[str, Any]) -> datetime.datetime:
    """Return when an object was made."""
    return datetime.datetime.fromisoformat(str(item["metadata"]["creationTimestamp"]))


def ready_since(pod: dict[str, Any]) -> datetime.datetime:
    """Return since when a pod is ready."""
    return datetime.datetime.fromisoformat(str(condition(pod, "Ready")["lastTransitionTime"]))


def condition(pod: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a condition of a pod; empty before there is one."""
    found = (c for c in pod["status"].get("conditions") or [] if c["type"] == name)
    return dict(next(found, {}))
