"""Which pods a wait gives up on."""

from types import SimpleNamespace
from typing import Any, cast

from plugins.modules.workloads_ready import first_fault


def test_ends_of_before_the_wait_are_not_counted() -> None:
    container = {"name": "c", "lastState": {"terminated": {"exitCode": 255}}}
    earlier: dict[str, int] = {}

    def fault(born: str, ends: int) -> str:
        pod = {
            "metadata": {"name": "p", "uid": born, "creationTimestamp": born},
            "status": {"containerStatuses": [{**container, "restartCount": ends}]},
        }
        cluster = SimpleNamespace(newest_pods=lambda _: {"a": [pod]}, story=lambda _: [])
        return first_fault(cast("Any", cluster), {"a": {}}, 3, earlier)

    old, new = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
    assert [bool(fault(old, ends)) for ends in (3, 5, 6)] == [False, False, True]
    assert "p: c: ended 3 times" in fault(new, 3)
