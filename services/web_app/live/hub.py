"""The ring of recent events of each symbol, and the fan-out to the clients' queues."""

import heapq
import threading
from collections import deque
from collections.abc import Iterable

from common.wire import Prediction, Tick
from web_app.errors import TooManyStreamsError
from web_app.live.event import KINDS, Event, Kind, Position

__all__ = ["Hub", "Subscription"]

_EVENTS_PER_S = 2  # of one kind, at most: 1 Hz and what arrives late
_AHEAD = 1_000  # offsets that another process may have read before us; beyond, Kafka lost some


class Subscription:
    """One client's bounded queue; `Hub` offers, the client's thread takes."""

    def __init__(self, position: Position, length: int) -> None:
        self.position = position
        self._length = length
        self._waiting: deque[Event] = deque()
        self._reset: str | None = None
        self._closed = False
        self._changed = threading.Condition()

    def offer(self, event: Event) -> None:
        """Queue ``event``; never blocks. A full queue is dropped and becomes a reset."""
        with self._changed:
            if len(self._waiting) >= self._length:
                self._waiting.clear()
                self._reset = "this client reads too slowly"
            self._waiting.append(event)
            self._changed.notify()

    def preload(self, events: Iterable[Event]) -> None:
        """Queue what the client misses, whatever its length: the ring bounds it."""
        with self._changed:
            self._waiting.extend(events)

    def start_anew(self, reason: str) -> None:
        """Tell the client that it misses events: it must load the history again."""
        with self._changed:
            self._reset = reason
            self._changed.notify()

    def close(self) -> None:
        """End the stream: the client is to reconnect."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self, timeout_s: float) -> tuple[str | None, list[Event], bool]:
        """Wait for something; return (reason of a reset or None, events after it, closed)."""
        with self._changed:
            if not (self._waiting or self._reset or self._closed):
                self._changed.wait(timeout_s)
            taken = (self._reset, list(self._waiting), self._closed)
            self._waiting.clear()
            self._reset = None
        return taken


class _Stream:
    """The recent events of one kind of one symbol, oldest first, repeats removed."""

    def __init__(self, length: int) -> None:
        self.events: deque[Event] = deque()
        self.first_offset: int | None = None  # from here on nothing is missing
        self.newest = -1
        self.length = length
        self._keys: set[int] = set()

    def add(self, event: Event) -> bool:
        self.newest = max(self.newest, event.offset)
        if event.key in self._keys:
            return False
        if len(self.events) >= self.length:
            oldest = self.events.popleft()
            self._keys.discard(oldest.key)
            self.first_offset = oldest.offset + 1
        self.events.append(event)
        self._keys.add(event.key)
        return True


class _Symbol:
    def __init__(self, length: int) -> None:
        self.streams: dict[Kind, _Stream] = {kind: _Stream(length) for kind in KINDS}
        self.clients: set[Subscription] = set()
        self.latest: dict[Kind, Event] = {}


class Hub:
    """Thread-safe. Symbols are those of the settings; events of others are ignored."""

    def __init__(self, symbols: Iterable[str], history_s: int, max_streams: int) -> None:
        kept = history_s * _EVENTS_PER_S
        self._symbols = {symbol: _Symbol(kept) for symbol in symbols}
        # Who could resume after a break is not cut off for being as far behind, be it that a busy
        # machine gave it no time while a backlog of Kafka's came in at once.
        self._queue_length = kept * len(KINDS)
        self._max_streams = max_streams
        self._streams = 0
        self._closed = False
        self._epoch = "00000000"
        self._lock = threading.Lock()

    @property
    def streams(self) -> int:
        """Return how many clients are connected."""
        return self._streams

    @property
    def draining(self) -> bool:
        """Return whether new streams are refused because the process stops."""
        return self._closed

    def begin(self, epoch: str, first_offsets: dict[tuple[str, Kind], int]) -> None:
        """Take events from now on as those of ``epoch``, complete from the given offsets on.

        Another epoch than before empties the rings and resets every client.
        """
        with self._lock:
            if epoch != self._epoch:
                self._epoch = epoch
                self._start_over()
            for (name, kind), offset in first_offsets.items():
                stream = self._symbols[name].streams[kind]
                if stream.first_offset is None:
                    stream.first_offset = offset
                    stream.newest = max(stream.newest, offset - 1)

    def _start_over(self) -> None:
        for symbol in self._symbols.values():
            for kind, stream in symbol.streams.items():
                symbol.streams[kind] = _Stream(stream.length)
            for client in symbol.clients:
                client.position = Position(self._epoch)
                client.start_anew("the topics were made anew")

    def publish(self, event: Event) -> None:
        """Keep ``event`` and offer it to the symbol's clients; repeats are dropped."""
        with self._lock:
            symbol = self._symbols.get(event.symbol)
            if symbol is None or not symbol.streams[event.kind].add(event):
                return
            newest = symbol.latest.get(event.kind)
            if newest is None or newest.key < event.key:
                symbol.latest[event.kind] = event
            for client in symbol.clients:
                client.offer(event)

    def latest_tick(self, symbol: str) -> Tick | None:
        """Return the newest tick seen of a known symbol."""
        event = self._symbols[symbol].latest.get("tick")
        return event.message if event and isinstance(event.message, Tick) else None

    def latest_prediction(self, symbol: str) -> Prediction | None:
        """Return the newest prediction seen of a known symbol."""
        event = self._symbols[symbol].latest.get("prediction")
        return event.message if event and isinstance(event.message, Prediction) else None

    def latest(self, symbol: str, kind: Kind) -> Event | None:
        """Return the newest event of a known symbol."""
        return self._symbols[symbol].latest.get(kind)

    def subscribe(self, symbol: str, last_id: str | None, replay_after: int) -> Subscription:
        """Return a subscription that has, in order, what the client misses and all that follows.

        Without ``last_id`` it begins with the events whose key (us) is above ``replay_after``.
        Raises `TooManyStreamsError` at the cap.
        """
        with self._lock:
            if self._streams >= self._max_streams or self._closed:
                raise TooManyStreamsError(f"{self._streams} streams are open")
            state = self._symbols[symbol]
            if last_id:
                client = self._resume(state, Position.parse(last_id))
            else:
                client = self._begin(state, replay_after)
            state.clients.add(client)
            self._streams += 1
            return client

    def _begin(self, state: _Symbol, replay_after: int) -> Subscription:
        missed = [event for event in self._merged(state) if event.key > replay_after]
        position = self._newest(state)
        for event in reversed(missed):  # where the client stands before the oldest of them
            if event.kind == "tick":
                position = position._replace(tick=event.offset - 1)
            else:
                position = position._replace(prediction=event.offset - 1)
        client = Subscription(position, self._queue_length)
        client.preload(missed)
        return client

    def _resume(self, state: _Symbol, position: Position | None) -> Subscription:
        reason = self._cannot_resume(state, position)
        if position is None or reason is not None:
            client = Subscription(self._newest(state), self._queue_length)
            client.start_anew(reason or "unknown event id")
            return client
        client = Subscription(position, self._queue_length)
        client.preload(event for event in self._merged(state) if not position.past(event))
        return client

    def _cannot_resume(self, state: _Symbol, position: Position | None) -> str | None:
        if position is None:
            return "unknown event id"
        if position.epoch != self._epoch:
            return "the event id belongs to other topics"
        seen: dict[Kind, int] = {"tick": position.tick, "prediction": position.prediction}
        for kind, stream in state.streams.items():
            if stream.first_offset is None or seen[kind] + 1 < stream.first_offset:
                return "the event id is older than what is kept in memory"
            if seen[kind] > stream.newest + _AHEAD:
                return "the event id is of events that are lost"
        return None

    def _newest(self, state: _Symbol) -> Position:
        streams = state.streams
        return Position(self._epoch, streams["tick"].newest, streams["prediction"].newest)

    @staticmethod
    def _merged(state: _Symbol) -> list[Event]:
        """Return both streams as one, each in the order of its offsets."""
        streams = (stream.events for stream in state.streams.values())
        return list(heapq.merge(*streams, key=lambda event: event.key))

    def unsubscribe(self, symbol: str, client: Subscription) -> None:
        """Forget a client; harmless when it is forgotten already."""
        with self._lock:
            clients = self._symbols[symbol].clients
            if client in clients:
                clients.remove(client)
                self._streams -= 1

    def close(self) -> None:
        """End every stream and refuse new ones."""
        with self._lock:
            self._closed = True
            for symbol in self._symbols.values():
                for client in symbol.clients:
                    client.close()
