"""When a tunnel is as wanted: nothing is done then, so whatever is amiss must show."""

from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from plugins.modules import tunnels_state
from plugins.modules.tunnels_state import describe, is_as_wanted

RUNNING = {"tunnel-web-app": {"statename": "RUNNING"}}
WELL: dict[str, Any] = {"version": "v2", "listens_on": 5001, "states": RUNNING, "page": "answers"}


def seen(*, version: str, listens_on: int, states: dict[str, Any], page: str) -> dict[str, Any]:
    """Return the description of a tunnel to web-app on port 5001."""
    connection = SimpleNamespace(status=psutil.CONN_LISTEN, laddr=("127.0.0.1", listens_on))
    process = SimpleNamespace(
        pid=7,
        create_time=lambda: 0.0,
        environ=lambda: {"TUNNEL_VERSION": version},
        net_connections=lambda _kind: [connection],
    )
    member: Any = SimpleNamespace(process=process)
    return {**describe("web-app", 5001, member, states), "answer": page}


def test_one_that_answers_in_the_wanted_version_is_as_wanted() -> None:
    assert is_as_wanted(seen(**WELL), "v2")


@pytest.mark.parametrize(
    "amiss",
    [
        {"version": "v1"},
        {"listens_on": 5002},
        {"page": "does not answer (timed out)"},
        {"states": {}},  # nobody would start it again
        {"states": {"tunnel-web-app": {"statename": "STARTING"}}},
    ],
)
def test_whatever_is_amiss_is_not_as_wanted(amiss: dict[str, Any]) -> None:
    assert not is_as_wanted(seen(**{**WELL, **amiss}), "v2")


def test_one_that_is_not_there_is_not_as_wanted() -> None:
    absent = describe("web-app", 5001, None, {})
    assert absent["state"] == "stopped"
    assert not is_as_wanted({**absent, "answer": tunnels_state.ask(absent)}, "")
