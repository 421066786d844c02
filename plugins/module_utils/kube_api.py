"""A Kubernetes API as plain mappings; whatever goes wrong becomes one message for a person."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

_REQUEST_S = 10.0
_CONNECT_S = 5.0
_KUBECONFIG = "~/.kube/config"
_NOBODY = '"system:anonymous"'  # whom the API takes a request for that brings no credentials
# What a module is told about where to look, beside its own arguments.
WHERE: dict[str, dict[str, Any]] = {
    "namespace": {"type": "str", "required": True},
    "kubeconfig": {"type": "str", "default": ""},
    "context": {"type": "str", "default": ""},
}


class KubeError(Exception):
    """What a person is told: what is wrong, and what to type."""


class Forbidden(KubeError):  # noqa: N818 - a state, not a fault of ours
    """The API refused a request for want of permission."""


class Kube:
    """Requests to one cluster. Paths are those of the API, answers are plain mappings."""

    def __init__(self, kubeconfig: str, context: str) -> None:
        """Read the kubeconfig; raises `KubeError` when it or its context cannot be used."""
        from kubernetes import client, config

        files = kubeconfig or os.environ.get("KUBECONFIG") or _KUBECONFIG
        self.kubeconfig = os.pathsep.join(map(os.path.expanduser, files.split(os.pathsep)))
        self.context = chosen_context(self.kubeconfig, context)
        settings: Any = client.Configuration()
        try:
            load: Any = config.load_kube_config  # it has no types
            load(self.kubeconfig, self.context, client_configuration=settings)
        except Exception as error:
            raise KubeError(f"the kubeconfig {self.kubeconfig} is damaged: {error}") from error
        settings.retries = False  # an unreachable server is told at once
        self.server: str = settings.host
        self._pool: Any = client.ApiClient(settings).rest_client.pool_manager
        self._settings = settings

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the object or list at ``path``; `KeyError` when there is none."""
        return self._call("GET", path, query)

    def items(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Return the items of the list at ``path``; empty where the kind is unknown."""
        try:
            found: list[dict[str, Any]] = self.get(path, **query).get("items") or []
        except KeyError:
            return []
        return found

    def text(self, path: str, **query: Any) -> str:
        """Return what is at ``path`` as text."""
        return self._raw("GET", path, query).decode(errors="replace")

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create what ``body`` describes."""
        return self._call("POST", path, {}, body)

    def patch(self, path: str, body: Any, kind: str = "merge") -> dict[str, Any]:
        """Change what is at ``path``; ``kind`` is merge or json."""
        return self._call("PATCH", path, {}, body, f"application/{kind}-patch+json")

    def delete(self, path: str, **query: Any) -> dict[str, Any]:
        """Delete what is at ``path``; `KeyError` when there is nothing."""
        return self._call("DELETE", path, query)

    def websocket(self, path: str, query: Sequence[tuple[str, str]]) -> Any:
        """Return the client's end of a websocket to ``path``; errors are the client's own.

        The client's generated classes would do, but reading them takes a second of each command.
        """
        from kubernetes.stream.ws_client import websocket_call

        call: Any = websocket_call  # it has no types
        return call(
            self._settings,
            "GET",
            f"{self.server}{path}",
            query_params=list(query),
            headers=self._credentials(),
            _preload_content=False,
        )

    def _call(
        self,
        verb: str,
        path: str,
        query: Mapping[str, Any],
        body: Any = None,
        content: str = "application/json",
    ) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._raw(verb, path, query, body, content))
        return answer

    def _raw(
        self,
        verb: str,
        path: str,
        query: Mapping[str, Any],
        body: Any = None,
        content: str = "application/json",
    ) -> bytes:
        answer = self.request(verb, path, query, body, content)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise self._explained(answer, path)
        return bytes(answer.data)

    def request(
        self,
        verb: str,
        path: str,
        query: Mapping[str, Any],
        body: Any = None,
        content: str = "application/json",
        **more: Any,
    ) -> Any:
        """Return urllib3's response; raises `KubeError` when nobody answers."""
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        headers = {"Content-Type": content, **self._credentials()}
        timeout = {"timeout": Timeout(connect=_CONNECT_S, read=_REQUEST_S), **more}
        address = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        text = None if body is None else json.dumps(body)
        try:
            return self._pool.request(verb, address, headers=headers, body=text, **timeout)
        except (HTTPError, OSError) as error:
            raise KubeError(
                f"the cluster at {self.server} (context {self.context}) does not answer: "
                f"{_cause(error)}. {self._way()}"
            ) from error

    def _way(self) -> str:
        """Return what may stand between: a proxy, or a wrong context."""
        from kubernetes.client.rest import should_bypass_proxies

        settings = self._settings
        if settings.proxy and not should_bypass_proxies(self.server, settings.no_proxy or ""):
            known = f"{settings.no_proxy}," if settings.no_proxy else ""
            return (
                "It was asked through the proxy of your environment. To ask it without, type: "
                f"export NO_PROXY={known}{urlsplit(self.server).hostname}   then the same again"
            )
        return "Is it up, and is this the right context? Another one: -e kube_context=NAME"

    def _credentials(self) -> dict[str, str]:
        """Return the headers of the context's user; a token may have been renewed meanwhile."""
        known = self._settings.auth_settings().values()
        return {str(a["key"]): str(a["value"]) for a in known if a["in"] == "header" and a["value"]}

    def _explained(self, answer: Any, path: str) -> Exception:
        message = said(answer)
        if answer.status == HTTPStatus.NOT_FOUND:
            return KeyError(path)
        nobody = answer.status == HTTPStatus.FORBIDDEN and _NOBODY in message
        if nobody or answer.status == HTTPStatus.UNAUTHORIZED:
            return KubeError(
                f"the cluster at {self.server} does not accept the credentials of context "
                f"{self.context}: log in again, or choose another: -e kube_context=NAME"
            )
        if answer.status == HTTPStatus.FORBIDDEN:
            return Forbidden(message)
        return KubeError(f"the cluster refused {path}: {message}")


def chosen_context(kubeconfig: str, wanted: str) -> str:
    """Return the context to use; raises `KubeError` when there is no such file or context."""
    files = [Path(each) for each in kubeconfig.split(os.pathsep) if Path(each).is_file()]
    if not files:
        raise KubeError(
            f"there is no kubeconfig {kubeconfig}. Name yours: -e kubeconfig=/path/to/kubeconfig"
        )
    try:
        names, current = _contexts(files)
    except Exception as error:
        raise KubeError(f"the kubeconfig {kubeconfig} cannot be read: {error}") from error
    name = wanted or current
    if not name:
        raise KubeError(f"choose a context with -e kube_context=NAME; it has: {', '.join(names)}")
    if name not in names:
        raise KubeError(
            f"the kubeconfig {kubeconfig} has no context {name!r}; it has: {', '.join(names)}. "
            f"Type, for example: -e kube_context={names[0] if names else 'NAME'}"
        )
    return name


def _contexts(files: Sequence[Path]) -> tuple[list[str], str]:
    """Return the names of all contexts, and the current one: the first that a file tells.

    The client's own list is refused where none is current, as after another cluster's deletion.
    """
    import yaml

    contents = [yaml.safe_load(file.read_text(encoding="utf-8")) or {} for file in files]
    names = [str(each["name"]) for content in contents for each in content.get("contexts") or []]
    told = (str(content.get("current-context") or "") for content in contents)
    return names, next(filter(None, told), "")


def said(answer: Any) -> str:
    """Return the API's own words about a refused request."""
    try:
        return str(json.loads(answer.data)["message"])
    except (TypeError, ValueError, KeyError):
        return f"HTTP {answer.status} {answer.reason}"


def _cause(error: BaseException) -> str:
    """Return the innermost reason of a failed connection, without its wrappers."""
    reason = getattr(error, "reason", None) or error
    return str(reason).rpartition(": ")[2].rstrip("\"')") or type(error).__name__
