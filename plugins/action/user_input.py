"""Check what the user gave with -e against the list of options: all faults in one message."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_FREE_PREFIXES = ("ansible_", "molecule_")
_PORTS = (1024, 65535)


class ActionModule(ActionBase):  # type: ignore[misc]
    """Arguments: ``options`` (name to specification) and ``accepts`` (names of this playbook)."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return ``chosen`` (typed, with defaults) and ``given`` (names)."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        options = dict(self._task.args["options"])
        accepts = list(self._task.args["accepts"])
        extra = load_extra_vars(self._loader)
        root = Path((task_vars or {})["inventory_dir"]).parent
        filed = names_in_files(context.CLIARGS.get("extra_vars") or (), self._loader.load_from_file)
        known = self._tunable_names(root) | (filed & set(options))
        values, faults = check_input(extra, options, accepts, known)
        if faults:
            return {**result, "failed": True, "msg": "\n".join(faults)}
        return {
            **result,
            "changed": False,
            "chosen": values,
            "given": sorted(set(extra) & set(accepts)),
            # With -v the result is printed: not where a secret is in it.
            "_ansible_no_log": any(
                options[name].get("secret") for name in set(extra) & set(accepts)
            ),
        }

    def _tunable_names(self, root: Path) -> set[str]:
        """Return the variables that the inventory and the roles' defaults define."""
        names: set[str] = set()
        files = [
            *root.glob("inventory/group_vars/all/*.yml"),
            *root.glob("roles/*/defaults/main.yml"),
        ]
        for file in files:
            names |= set(self._loader.load_from_file(str(file)) or {})
        return names


def names_in_files(given: Iterable[str], load: Callable[[str], Any]) -> set[str]:
    """Return what stands in each ``-e @FILE``: one file may serve every playbook."""
    files = [each.removeprefix("@") for each in given if each.startswith("@")]
    return {name for file in files for name in load(file) or {}}


def check_input(
    extra: Mapping[str, Any], options: Mapping[str, Any], accepts: Iterable[str], tunable: set[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return (typed values of every accepted option, faults).

    ``tunable`` are the other names that may be given, and that are not looked at here.
    """
    accepted = sorted(set(accepts))
    values = {name: options[name].get("default") for name in accepted}
    faults = []
    for name, raw in extra.items():
        if name in accepted:
            try:
                values[name] = convert(name, raw, options[name])
            except ValueError as error:
                faults.append(str(error))
        elif name not in tunable and not name.startswith(_FREE_PREFIXES):
            faults.append(unknown(name, accepted, options, tunable))
    faults += [
        f"{name} is missing: {options[name]['help']}. Type: -e {name}={options[name]['example']}"
        for name in accepted
        if options[name].get("required") and name not in extra
    ]
    return values, faults


def unknown(name: str, accepted: list[str], options: Mapping[str, Any], tunable: set[str]) -> str:
    """Return the message for a variable that this playbook does not know."""
    if name in options:
        return f"{name} has no meaning for this playbook; it takes: {', '.join(accepted)}"
    near = difflib.get_close_matches(name, accepted, 1) or difflib.get_close_matches(
        name, tunable, 1
    )
    hint = f"did you mean {near[0]}? " if near else ""
    return f"unknown variable {name}: {hint}This playbook takes: {', '.join(accepted)}"


def convert(name: str, raw: Any, spec: Mapping[str, Any]) -> Any:
    """Return ``raw`` as the type of ``spec``; raises `ValueError` with the whole message."""
    text = str(raw).strip()
    kind = spec.get("type", "str")
    example = f"Type, for example: -e {name}={spec['example']}"
    if kind == "bool":
        if text.lower() not in _TRUE + _FALSE:
            raise ValueError(f"{name}={text} is neither true nor false. {example}")
        return text.lower() in _TRUE
    choices = spec.get("choices")
    if kind in ("int", "port", "float"):
        number = _number(name, text, kind, spec, example)
        if choices and number not in choices:
            raise ValueError(f"{name}={text}: choose {' or '.join(map(str, choices))}. {example}")
        return number
    if choices and text not in choices:
        near = difflib.get_close_matches(text, choices, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(
            f"unknown {name} {text!r}; choose one of: {', '.join(filter(None, choices))}.{hint}"
        )
    if kind == "path":
        return _path(name, text, spec.get("kind", "any"), example)
    if spec.get("pattern") and not re.fullmatch(spec["pattern"], text):
        shown = "(not shown)" if spec.get("secret") else repr(text)
        raise ValueError(f"{name}={shown} is not {spec['help']}. {example}")
    return text


def _path(name: str, text: str, kind: str, example: str) -> str:
    """Return the absolute path; ``kind``: any, file, directory, or new (only its folder is)."""
    path = os.path.abspath(os.path.expanduser(text))
    needed = os.path.dirname(path) if kind == "new" else path
    if not os.path.exists(needed):
        raise ValueError(f"{name}: there is no {needed}. {example}")
    if kind == "file" and not os.path.isfile(path):
        raise ValueError(f"{name}: {path} is a directory, not a file. {example}")
    if kind == "directory" and not os.path.isdir(path):
        raise ValueError(f"{name}: {path} is no directory. {example}")
    return path


def _number(name: str, text: str, kind: str, spec: Mapping[str, Any], example: str) -> int | float:
    least, most = _PORTS if kind == "port" else (spec.get("min"), spec.get("max"))
    try:
        value: int | float = float(text) if kind == "float" else int(text)
    except ValueError:
        noun = "a number" if kind == "float" else "a whole number"
        raise ValueError(f"{name}={text} is not {noun}. {example}") from None
    if (least is not None and not value >= least) or (most is not None and not value <= most):
        span = f"from {least} to {most}" if most is not None else f"at least {least}"
        raise ValueError(f"{name}={text} is out of range ({span}). {example}")
    return value
