"""Where Maven artifacts come from, as community.general.maven_artifact knows it."""

from __future__ import annotations

import importlib
import urllib.error
from types import ModuleType

import yaml
from ansible.module_utils.urls import open_url

_LIBRARY = "ansible_collections.community.general.plugins.modules.maven_artifact"
_PROBE_S = 6


def library() -> ModuleType:
    """Return the module whose downloader is used; Ansible would not ship it by a plain import."""
    return importlib.import_module(_LIBRARY)


def default_repository() -> str:
    """Return the address that the module documents as its default."""
    documentation = yaml.safe_load(library().DOCUMENTATION)
    return str(documentation["options"]["repository_url"]["default"])


def unreachable(address: str) -> str | None:
    """Return why nothing answers at ``address``, or None; any answer will do."""
    try:
        open_url(address, method="HEAD", timeout=_PROBE_S).close()
    except urllib.error.HTTPError:
        return None
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
    return None
