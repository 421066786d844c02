"""Lets ansible-lint import the modules' shared code as Ansible does, to check their arguments."""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

_SHARED = str(Path(__file__).parents[3] / "plugins" / "module_utils")
_PREFIX = "ansible.module_utils."


class _Shared:
    """Finds what is not Ansible's own in our directory."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if not name.startswith(_PREFIX) or "." in name.removeprefix(_PREFIX):
            return None
        return PathFinder.find_spec(name, [_SHARED])


sys.meta_path.append(_Shared())
