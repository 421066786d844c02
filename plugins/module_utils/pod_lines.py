"""Log lines of pods as they are written, across restarts and replacements."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible.module_utils.kube_api import Kube, KubeError

_NAME = "app.kubernetes.io/name"
_LOOK_S = 2.0
_WAITING = 1000  # lines; a reader that is slower than all pods holds them up, and loses none


def chosen_pods(pods: Iterable[Mapping[str, Any]], services: list[str]) -> dict[str, str]:
    """Return service by pod; ``services`` empty takes those of all services."""
    found = {}
    for pod in pods:
        service = (pod["metadata"].get("labels") or {}).get(_NAME, "")
        if service and (service in services or not services):
            found[str(pod["metadata"]["name"])] = str(service)
    return found


def prefixes(pods: Mapping[str, str]) -> dict[str, str]:
    """Return what stands before each pod's lines: its service, and its own end where needed."""
    services = list(pods.values())
    titles = {
        pod: service if services.count(service) == 1 else f"{service}/{pod.rpartition('-')[2]}"
        for pod, service in pods.items()
    }
    width = max(map(len, titles.values()), default=0)
    return {pod: f"{title:<{width}} | " for pod, title in titles.items()}


def new_pod_lines(
    kubeconfig: str, context: str, namespace: str, services: list[str]
) -> Iterator[tuple[str, str]]:
    """Yield (prefix, line) as pods write; pods that come later are followed from their start."""
    space = f"/api/v1/namespaces/{namespace}/pods"
    kube = Kube(kubeconfig, context)
    lines: queue.Queue[tuple[str, str]] = queue.Queue(_WAITING)
    followed: dict[str, threading.Thread] = {}
    first, looked = True, 0.0
    prefix: dict[str, str] = {}
    while True:
        if time.monotonic() - looked > _LOOK_S:
            looked = time.monotonic()
            pods: dict[str, str] = {}
            with contextlib.suppress(KubeError):  # it may come back
                pods = chosen_pods(kube.items(space), services)
            prefix = {**prefix, **prefixes(pods)}
            for pod in pods:
                if pod not in followed or not followed[pod].is_alive():
                    query = {"sinceSeconds": 1} if first or pod in followed else {}
                    followed[pod] = _follow(kube, f"{space}/{pod}/log", pod, query, lines)
            first = False
        try:
            name, line = lines.get(timeout=0.25)
        except queue.Empty:
            continue
        yield prefix.get(name, f"{name} | "), line


def _follow(
    kube: Kube, path: str, pod: str, query: Mapping[str, int], lines: queue.Queue[tuple[str, str]]
) -> threading.Thread:
    def read() -> None:
        with contextlib.suppress(Exception):  # the next look begins anew
            answer = kube.request(
                "GET", path, {**query, "follow": "true"}, preload_content=False, timeout=None
            )
            rest = b""
            for chunk in answer.stream(None):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    lines.put((pod, line.decode(errors="replace")))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread
