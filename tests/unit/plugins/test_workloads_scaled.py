"""Whose end a shutdown waits for."""

from typing import Any

from plugins.modules.workloads_scaled import pods_of


class Kube:
    """Stands for the API: one Deployment with a pod that runs, one that ends, one evicted."""

    def get(self, path: str) -> dict[str, Any]:
        return {"spec": {"selector": {"matchLabels": {"app": "a"}}}}

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        assert (path, query) == ("/api/v1/namespaces/space/pods", {"labelSelector": "app=a"})
        return [{"status": {"phase": phase}} for phase in ("Running", "Failed", "Pending")]


def test_an_evicted_pod_has_ended() -> None:
    left = pods_of(Kube(), "/apis/apps/v1/namespaces/space/deployments/a")
    assert [pod["status"]["phase"] for pod in left] == ["Running", "Pending"]
