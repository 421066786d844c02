"""Hand files over to the `lifecycle` callback, which prints their new lines until Ctrl-C."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """Arguments: ``files`` (prefix to path) and ``pattern`` (which lines; empty takes all)."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the callback needs: output is its business, a task cannot print."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        files, pattern = self._task.args["files"], self._task.args.get("pattern", "")
        return {**result, "changed": False, "follow": dict(files), "pattern": pattern}
