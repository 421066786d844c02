"""How to reach the API server of one context of a kubeconfig: pure asking, no cluster's objects.

The file is read again when it changed: a minikube that was started anew has another port. Tokens
that a program hands out live shortly, so what was read is used for some minutes only.
"""

import contextlib
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.rest import RESTClientObject

__all__ = ["Access", "AccessError", "Kubeconfig"]

_FRESH_S = 300.0


class AccessError(OSError):
    """The kubeconfig cannot be used; the text says why."""


@dataclass(frozen=True)
class Access:
    """Address and credentials of an API server."""

    host: str
    headers: Mapping[str, str]
    ssl: ssl.SSLContext
    proxy: str | None = None
    server_name: str | None = None

    def session(self) -> aiohttp.ClientSession:
        """Return a session of its own connections; whoever asked for it closes it."""
        return aiohttp.ClientSession(
            self.host,
            connector=aiohttp.TCPConnector(ssl=self.ssl, limit=0),
            headers=self.headers,
            trust_env=True,
        )

    @property
    def arguments(self) -> dict[str, Any]:
        """Return what every request of a session needs besides."""
        return {"proxy": self.proxy, "server_hostname": self.server_name}


class Kubeconfig:
    """One context of a kubeconfig (several files as in ``KUBECONFIG``)."""

    def __init__(self, files: str, context: str) -> None:
        self._files, self._context = files, context
        self._access: Access | None = None
        self._stamp: tuple[float, ...] = ()
        self._read_at = 0.0

    def is_stale(self) -> bool:
        """Return whether the files changed, or the credentials may have ended."""
        aged = time.monotonic() - self._read_at > _FRESH_S
        return self._access is None or aged or self._stamp != self._now()

    def forget(self) -> None:
        """Read the files anew at the next chance."""
        self._access = None

    async def access(self) -> Access:
        """Return the present access; raises `AccessError`."""
        if self._access is None or self.is_stale():
            stamp = self._now()
            self._access = await self._load()
            self._stamp, self._read_at = stamp, time.monotonic()
        return self._access

    async def _load(self) -> Access:
        settings = client.Configuration()
        load: Any = config.load_kube_config  # it has no types
        try:
            await load(
                self._files,
                context=self._context or None,
                client_configuration=settings,
                persist_config=False,
            )
            context = RESTClientObject(settings).ssl_context
        except (config.ConfigException, OSError, ValueError) as error:
            raise AccessError(f"kubeconfig {self._files}: {error}") from error
        token = (await settings.auth_settings()).get("BearerToken")
        return Access(
            host=str(settings.host),
            headers={"Authorization": str(token["value"])} if token else {},
            ssl=context,
            proxy=settings.proxy or None,
            server_name=settings.tls_server_name or None,
        )

    def _now(self) -> tuple[float, ...]:
        stamps: list[float] = []
        for name in self._files.split(os.pathsep):
            with contextlib.suppress(OSError):
                status = Path(name).stat()
                stamps += [status.st_mtime, float(status.st_ino)]
        return tuple(stamps)
