"""Have a support bundle made if the playbook fails after this: the `lifecycle` callback does it."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """Argument: ``command``, a list of words that makes the bundle and prints where it is."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Hand the command to the callback; in check mode nothing will need help."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        command = [] if self._task.check_mode else list(self._task.args["command"])
        return {**result, "changed": False, "support_command": command}
