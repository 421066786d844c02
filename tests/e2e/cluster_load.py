"""Constant requests from inside a cluster: a pod that asks, and a policy that lets it."""

from typing import Any

__all__ = ["LOAD_POLICY", "load_pod"]

_NAME = "app.kubernetes.io/name"
# Where a cluster keeps to network policies, nobody talks to anybody unless it is said.
LOAD_POLICY: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "load"},
    "spec": {
        "podSelector": {"matchLabels": {_NAME: "load"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {"matchLabels": {_NAME: "web-app"}}}]}],
    },
}
# Asks a page as often as a busy user would, on a new connection each time, until it is told to end;
# prints what failed.
_LOAD = """
import json, signal, sys, time, urllib.request
url, rate = sys.argv[1], float(sys.argv[2])
answered, failures, told = 0, [], []
signal.signal(signal.SIGTERM, lambda *_: told.append(True))
while not told:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            answer.read()
        answered += 1
    except Exception as error:
        failures.append(repr(error))
    time.sleep(1 / rate)
print(json.dumps({"answered": answered, "failures": failures}))
"""


def load_pod(web: dict[str, Any], url: str, rate: float) -> dict[str, Any]:
    """Return a pod that asks for ``url``, in the image of ``web`` and as restricted as that."""
    security = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    container = {
        "name": "load",
        "image": web["spec"]["containers"][0]["image"],
        "command": ["python", "-c", _LOAD, url, str(rate)],
        "securityContext": security,
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "load", "labels": {_NAME: "load"}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": web["spec"]["securityContext"],
            "containers": [container],
        },
    }
