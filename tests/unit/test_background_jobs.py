"""Jobs that a playbook begins in the background are found again, wherever HOME is."""

import json
import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PLAY = [
    {
        "hosts": "bitcoin_prediction",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Begin",
                "ansible.builtin.command": {"argv": ["true"]},
                "async": 30,
                "poll": 0,
                "register": "begun",
            },
            {
                "name": "Wait",
                "ansible.builtin.async_status": {"jid": "{{ begun.ansible_job_id }}"},
                "register": "ended",
                "until": "ended.finished",
                "retries": 20,
                "delay": 1,
            },
        ],
    }
]


def test_with_another_home_than_the_account_has(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "play.yml").write_text(json.dumps(_PLAY))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), tmp_path / "play.yml"],
        cwd=_ROOT,
        env={**os.environ, "HOME": str(home), "ANSIBLE_CONFIG": str(_ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((home / ".ansible_async").iterdir()) != []
