"""Hand files or pods to the `lifecycle` callback, which prints their new lines until Ctrl-C."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """Arguments: ``files`` (prefix to path) or ``pods`` (where they are), and ``pattern``.

    ``pods`` has kubeconfig, context, namespace and services; an empty pattern takes all lines.
    """

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the callback needs: output is its business, a task cannot print."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        follow = {kind: dict(arguments[kind]) for kind in ("files", "pods") if kind in arguments}
        pattern = arguments.get("pattern", "")
        return {**result, "changed": False, "follow": follow, "pattern": pattern}
