"""Which pods a wait gives up on."""

from types import SimpleNamespace
from typing import Any, cast

from plugins.modules.workloads_ready import first_fault

OLD, NEW = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"


def fault(earlier: dict[str, int], born: str, container: dict[str, Any], passed: float = 0) -> str:
    pod = {
        "metadata": {"name": "p", "uid": born, "creationTimestamp": born},
        "status": {"containerStatuses": [{"name": "c", **container}]},
    }
    cluster = SimpleNamespace(newest_pods=lambda _: {"a": [pod]}, story=lambda _: [])
    return first_fault(cast("Any", cluster), {"a": {}}, 3, earlier, passed)


def test_ends_of_before_the_wait_are_not_counted() -> None:
    ended = {"lastState": {"terminated": {"exitCode": 255}}}
    earlier: dict[str, int] = {}
    faults = [fault(earlier, OLD, {**ended, "restartCount": ends}) for ends in (3, 5, 6)]
    assert [bool(each) for each in faults] == [False, False, True]
    assert "p: c: ended 3 times" in fault(earlier, NEW, {**ended, "restartCount": 3})


def test_a_pod_of_before_the_wait_may_get_its_image_again() -> None:
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    assert fault({}, OLD, waiting, 190) == ""
    assert "no such image" in fault({}, OLD, waiting, 210)
    assert "no such image" in fault({}, NEW, waiting, 1)
