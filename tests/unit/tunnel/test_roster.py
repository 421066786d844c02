"""Which pods of a Service's EndpointSlices may take a connection."""

from typing import Any

import pytest

from tunnel.roster import Target, targets_of


def endpoint(pod: str, **conditions: bool) -> dict[str, Any]:
    return {"targetRef": {"kind": "Pod", "name": pod}, "conditions": conditions}


def slice_of(*endpoints: dict[str, Any], port: int = 5001) -> dict[str, Any]:
    return {"ports": [{"name": "http", "port": port}], "endpoints": list(endpoints)}


@pytest.mark.parametrize(
    ("slices", "pods"),
    [
        ([], []),
        ([slice_of(endpoint("a", ready=True), endpoint("b", ready=False))], ["a"]),
        ([slice_of(endpoint("b", ready=True)), slice_of(endpoint("a", ready=True))], ["a", "b"]),
        # Nothing said about readiness means ready; that is the API's own rule.
        ([slice_of(endpoint("a"))], ["a"]),
        # One that ends but still serves counts only where there is nothing better.
        ([slice_of(endpoint("a", ready=False, serving=True, terminating=True))], ["a"]),
        (
            [
                slice_of(
                    endpoint("a", ready=False, serving=True, terminating=True),
                    endpoint("b", ready=True),
                )
            ],
            ["b"],
        ),
        # And one that is not ready only where there is none that serves, unless it ends.
        ([slice_of(endpoint("a", ready=False), endpoint("b", ready=True))], ["b"]),
        (
            [slice_of(endpoint("a", ready=False), endpoint("b", ready=False, terminating=True))],
            ["a"],
        ),
        ([slice_of({"conditions": {"ready": True}, "addresses": ["10.0.0.9"]})], []),
        ([{"ports": None, "endpoints": [endpoint("a", ready=True)]}], []),
        ([{"ports": [{"port": 1}], "endpoints": None}], []),
    ],
)
def test_ready_pods_first(slices: list[dict[str, Any]], pods: list[str]) -> None:
    assert [target.pod for target in targets_of(slices)] == pods


def test_the_port_is_the_pods_own() -> None:
    assert targets_of([slice_of(endpoint("a", ready=True), port=8080)]) == (Target("a", 8080),)
