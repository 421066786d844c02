"""Lets the plugins import their shared code as Ansible does."""

from pathlib import Path

import ansible.module_utils

_SHARED = str(Path(__file__).parents[3] / "plugins" / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)
