"""The cluster as a tunnel needs it: which pods are ready, and connections to them."""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp

from tunnel.access import Access, Kubeconfig
from tunnel.channel import Channel, WebSocketChannel
from tunnel.errors import RefusedError
from tunnel.roster import Roster, Target, targets_of

__all__ = ["Cluster"]

_SUBPROTOCOL = "v4.channel.k8s.io"
_WATCH_S = 240  # the API server ends a watch after that; then it begins anew
_QUIET_S = _WATCH_S + 15.0
_CONNECT_S = 5.0
_RETRY_S = (0.2, 0.5, 1.0, 2.0)
_CHECK_S = 1.0
_FAULTS = (OSError, TimeoutError, ValueError, KeyError, aiohttp.ClientError)

log = logging.getLogger(__name__)


class Cluster:
    """One Service in one namespace of the cluster that a kubeconfig names."""

    def __init__(self, kubeconfig: Kubeconfig, namespace: str, service: str) -> None:
        self._kubeconfig = kubeconfig
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        self._query = {"labelSelector": f"kubernetes.io/service-name={service}"}

    async def open(self, target: Target) -> Channel:
        """Return a connection to a pod; raises `RefusedError` when there is none in time."""
        session: aiohttp.ClientSession | None = None
        try:
            async with asyncio.timeout(_CONNECT_S):
                access = await self._kubeconfig.access()
                session = access.session()
                socket = await session.ws_connect(
                    f"{self._pods}/{target.pod}/portforward",
                    params={"ports": target.port},
                    protocols=(_SUBPROTOCOL,),
                    max_msg_size=0,
                    **access.arguments,
                )
        except BaseException as error:
            if session is not None:
                await session.close()
            if isinstance(error, _FAULTS):
                raise RefusedError(f"{target.pod}: {describe(error)}") from error
            raise
        return WebSocketChannel(socket, session)

    async def watch(self, roster: Roster) -> None:
        """Keep ``roster`` up to date until cancelled; what fails is tried again, ever slower."""
        failures = 0
        while True:
            try:
                await self._follow(roster)
                failures = 0
            except _FAULTS as error:
                # The pods that are known may well serve while the API server cannot be asked.
                trouble = f"the cluster does not answer: {describe(error)}"
                roster.update(roster.targets, trouble)
                if not failures:
                    log.warning(trouble)
                self._kubeconfig.forget()
                await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
                failures += 1

    async def _follow(self, roster: Roster) -> None:
        """List the Service's slices and follow their changes until that ends."""
        access = await self._kubeconfig.access()
        async with access.session() as session:
            slices, version = await self._list(session, access)
            _tell(roster, slices)
            changes = asyncio.create_task(self._changes(session, access, version, slices, roster))
            stale = asyncio.create_task(self._until_stale())
            try:
                await asyncio.wait({changes, stale}, return_when=asyncio.FIRST_COMPLETED)
                if changes.done():
                    changes.result()  # raises what ended it
            finally:
                for task in (changes, stale):
                    task.cancel()
                await asyncio.gather(changes, stale, return_exceptions=True)

    async def _list(
        self, session: aiohttp.ClientSession, access: Access
    ) -> tuple[dict[str, Any], str]:
        limits = aiohttp.ClientTimeout(total=2 * _CONNECT_S)
        async with session.get(
            self._slices, params=self._query, timeout=limits, **access.arguments
        ) as answer:
            answer.raise_for_status()
            found = await answer.json()
        items = {item["metadata"]["name"]: item for item in found.get("items") or []}
        return items, str(found["metadata"]["resourceVersion"])

    async def _changes(
        self,
        session: aiohttp.ClientSession,
        access: Access,
        version: str,
        slices: dict[str, Any],
        roster: Roster,
    ) -> None:
        query = {**self._query, "watch": "1", "resourceVersion": version,
                 "timeoutSeconds": str(_WATCH_S)}  # fmt: skip
        limits = aiohttp.ClientTimeout(total=None, connect=_CONNECT_S, sock_read=_QUIET_S)
        async with session.get(
            self._slices, params=query, timeout=limits, **access.arguments
        ) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                event = json.loads(line)
                found = event["object"]
                if event["type"] == "ERROR":  # most often too old a version: list anew
                    return
                if event["type"] == "DELETED":
                    slices.pop(found["metadata"]["name"], None)
                else:
                    slices[found["metadata"]["name"]] = found
                _tell(roster, slices)

    async def _until_stale(self) -> None:
        while not self._kubeconfig.is_stale():
            await asyncio.sleep(_CHECK_S)


def _tell(roster: Roster, slices: Mapping[str, Mapping[str, Any]]) -> None:
    if roster.update(targets_of(slices.values())):
        log.info("ready pods: %s", ", ".join(each.pod for each in roster.targets) or "none")


def describe(error: BaseException) -> str:
    """Return one line for people."""
    if isinstance(error, aiohttp.ClientResponseError):
        hint = ", not allowed" if error.status in (401, 403) else ""
        return f"HTTP {error.status}{hint}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
