"""The stand-in's table beside a recording of the real minikube, where one is at hand."""

import json
from pathlib import Path

import pytest
from plugins.module_utils.minikube_state import classify
from tests.support.fake_minikube import MOVES, STATUS
from tests.unit.plugins.test_minikube_state import observation

# A JSON file: case to {cmd, rc, stdout}, one for each call.
_RECORDING = Path(__file__).parents[4] / "shared" / "minikube" / "recorded.json"
# Names of the recording's cases; those of starts are "start-from-" and the state.
_CASES = {
    "running": "running-status-json",
    "paused": "paused-status-json",
    "kubelet-stopped": "kubelet-stopped-status-json",
    "apiserver-gone": "apiserver-gone-status-json",
    "kubeconfig-gone": "kubeconfig-gone-status-json",
    "stopped": "stopped-status-json",
    "node-container-paused": "node-container-paused-status-json",
    "removed": "removed-status-json",
    "removed-volume": "removed-volume-status-json",
    "machine-dir-gone": "machine-dir-gone-status-json",
    "profile-dir-gone": "profile-dir-gone-status-json",
    "profile-broken-json": "profile-broken-json-status-json",
    "absent": "status-absent-json",
}
_STARTS = {
    "paused": "start-when-paused",
    "stopped": "start-from-stopped",
    "kubelet-stopped": "start-from-kubelet-stopped",
    "apiserver-gone": "start-from-apiserver-gone",
    "removed": "start-from-removed",
    "removed-volume": "start-from-removed-volume",
    "machine-dir-gone": "start-machine-dir-gone",
    "profile-dir-gone": "start-profile-dir-gone",
    "profile-broken-json": "start-profile-broken-json",
    "network-removed": "start-network-removed",
}


def test_each_state_of_the_table_means_something() -> None:
    assert len({classify(observation(state)) for state in STATUS}) >= len(STATUS) - 6


@pytest.mark.skipif(not _RECORDING.exists(), reason=f"no recording at {_RECORDING}")
def test_the_table_says_what_the_real_minikube_said() -> None:
    recorded = json.loads(_RECORDING.read_text())
    names = ("Host", "Kubelet", "APIServer", "Kubeconfig")
    for state, case in _CASES.items():
        code, parts, _, _ = STATUS[state]
        assert recorded[case]["rc"] == code, state
        if parts:
            said = json.loads(recorded[case]["stdout"])
            assert tuple(said[name] for name in names) == parts, state
        elif code == 7:
            assert recorded[case]["stdout"].strip() == "null", state
    for state, case in _STARTS.items():
        assert recorded[case]["rc"] == MOVES[state, "start"][0], state
