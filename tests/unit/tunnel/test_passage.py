"""Connections through a tunnel: what a client sees while pods come, refuse, close and die."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tunnel.errors import LostError, RefusedError, TunnelError
from tunnel.listener import Listener
from tunnel.passage import Passage
from tunnel.roster import Roster, Target

A, B = Target("a", 5001), Target("b", 5001)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"


class FakePod:
    """Answers each request with its name; ``dies`` requests end without an answer.

    One that ``leaves`` closes after its first answer, slowly.
    """

    def __init__(
        self, name: str, *, dies: int = 0, error: bool = False, leaves: bool = False
    ) -> None:
        self.name, self.dies, self.error, self.leaves = name, dies, error, leaves
        self.taken: list[bytes] = []
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(self, data: bytes) -> None:
        self.taken.append(data)
        self._inbox.put_nowait(data)

    async def received(self) -> AsyncIterator[bytes]:
        while data := await self._inbox.get():
            if self.dies:
                self.dies -= 1
                if self.error:
                    raise LostError("connection reset")
                return
            yield self.name.encode() + b":" + data[:4]
            if self.leaves:
                return

    async def close(self) -> None:
        await asyncio.sleep(0.2 if self.leaves else 0)


Opener = Callable[[Target], Awaitable[FakePod]]


def opener(pods: dict[Target, FakePod | None]) -> Opener:
    async def open_channel(target: Target) -> FakePod:
        pod = pods.get(target)
        if pod is None:
            raise RefusedError(f"{target.pod}: connection refused")
        return pod

    return open_channel


@asynccontextmanager
async def client(
    roster: Roster, pods: dict[Target, FakePod | None], patience_s: float = 2.0
) -> AsyncIterator[Callable[[bytes], Awaitable[bytes]]]:
    """Yield a function that sends a request on one connection and returns what comes back."""
    passages: list[asyncio.Task[None]] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passages.append(asyncio.current_task())  # type: ignore[arg-type]
        await Passage(reader, writer, roster, opener(pods), patience_s).run()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())

        async def ask_on(request: bytes) -> bytes:
            writer.write(request)
            return await asyncio.wait_for(reader.read(4096), 5)

        yield ask_on
        writer.close()
        await writer.wait_closed()
        await asyncio.wait(passages, timeout=5)


async def ask(
    roster: Roster, pods: dict[Target, FakePod | None], *requests: bytes, patience_s: float = 2.0
) -> list[bytes]:
    """Return the answer to each request on one connection; an empty one is its end."""
    async with client(roster, pods, patience_s) as send:
        return [await send(request) for request in requests]


def full(*targets: Target) -> Roster:
    roster = Roster()
    roster.update(targets)
    return roster


def test_new_connections_take_the_ready_pods_in_turn() -> None:
    assert len(set(asyncio.run(ask_twice()))) == 2


async def ask_twice() -> list[bytes]:
    roster = full(A, B)
    return [(await ask(roster, {A: FakePod("a"), B: FakePod("b")}, GET))[0] for _ in range(2)]


@pytest.mark.parametrize("request_", [GET, POST])
def test_a_pod_that_refuses_costs_no_request(request_: bytes) -> None:
    answer = asyncio.run(ask(full(A, B), {A: None, B: FakePod("b")}, request_, request_))
    assert answer == [b"b:" + request_[:4]] * 2


@pytest.mark.parametrize("error", [True, False])
def test_a_pod_that_dies_under_a_get_costs_no_request(error: bool) -> None:
    pods: dict[Target, FakePod | None] = {A: FakePod("a", dies=1, error=error), B: FakePod("b")}
    for _ in range(2):
        assert asyncio.run(ask(full(A, B), pods, GET)) == [b"b:GET "]


def test_a_kept_connection_goes_on_at_another_pod_when_its_own_closes() -> None:
    async def scenario() -> list[bytes]:
        roster, first = full(A), FakePod("a")
        async with client(roster, {A: first, B: FakePod("b")}) as send:
            answers = [await send(GET)]
            roster.update((B,))
            first.dies = 1  # it takes the next request and closes instead of answering
            return [*answers, await send(GET)]

    assert asyncio.run(scenario()) == [b"a:GET ", b"b:GET "]


@pytest.mark.parametrize("request_", [GET, POST])
def test_what_is_sent_while_a_pod_closes_goes_to_the_next(request_: bytes) -> None:
    async def scenario() -> list[bytes]:
        roster = full(A)
        async with client(roster, {A: FakePod("a", leaves=True), B: FakePod("b")}) as send:
            answers = [await send(GET)]
            roster.update((B,))
            return [*answers, await send(request_)]

    assert asyncio.run(scenario()) == [b"a:GET ", b"b:" + request_[:4]]


def test_a_pod_that_closes_after_its_answer_ends_the_connection() -> None:
    async def scenario() -> list[bytes]:
        async with client(full(A), {A: FakePod("a", leaves=True)}) as send:
            return [await send(GET), await send(b"")]

    assert asyncio.run(scenario()) == [b"a:GET ", b""]


def test_a_post_that_a_pod_may_have_taken_is_never_sent_twice() -> None:
    pods = {A: FakePod("a", dies=1), B: FakePod("b")}
    roster = full(A)
    assert asyncio.run(ask(roster, dict(pods), POST)) == [b""]
    assert pods[B].taken == []


def test_a_request_that_kills_every_pod_ends_instead_of_going_round() -> None:
    pod = FakePod("a", dies=1000)
    assert asyncio.run(ask(full(A), {A: pod}, GET)) == [b""]
    assert 2 <= len(pod.taken) <= 5


def test_a_request_waits_for_a_pod_to_become_ready() -> None:
    async def scenario() -> list[bytes]:
        roster = Roster()
        asyncio.get_running_loop().call_later(0.3, roster.update, (A,))
        return await ask(roster, {A: FakePod("a")}, GET)

    assert asyncio.run(scenario()) == [b"a:GET "]


@pytest.mark.parametrize(
    ("roster", "said"),
    [(Roster(), b"the cluster was not asked yet"), (full(A), b"no pod takes a connection")],
)
def test_where_no_pod_takes_it_the_client_is_told_what_to_type(roster: Roster, said: bytes) -> None:
    (answer,) = asyncio.run(ask(roster, {}, GET, patience_s=0.2))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert said in answer
    assert b"ansible-playbook status.yml" in answer


def test_a_port_that_another_program_holds_is_named() -> None:
    async def scenario() -> None:
        async with await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0) as other:
            port = other.sockets[0].getsockname()[1]
            with pytest.raises(TunnelError, match=f"port {port} is taken"):
                await Listener(port, Roster(), opener({})).start()

    asyncio.run(scenario())
