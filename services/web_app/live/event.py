"""What flows to the clients, and where a client is in it."""

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from common.wire import Prediction, Tick

__all__ = ["KINDS", "Event", "Kind", "Position"]

Kind = Literal["tick", "prediction"]
KINDS: tuple[Kind, ...] = ("tick", "prediction")
_NOTHING = -1


class Position(NamedTuple):
    """The newest offsets that a client has of a symbol's two streams; -1 means none.

    Written ``<epoch>-<tick>-<prediction>`` as the id of an event. Offsets are Kafka's own, so an
    id means the same in every process that serves the same topics; ``epoch`` names these.
    """

    epoch: str
    tick: int = _NOTHING
    prediction: int = _NOTHING

    def __str__(self) -> str:
        return f"{self.epoch}-{self.tick + 1}-{self.prediction + 1}"

    @classmethod
    def parse(cls, text: str) -> "Position | None":
        """Return the position that ``text`` names, or None where it is no id of ours."""
        found = re.fullmatch(r"([0-9a-f]{8})-(\d{1,18})-(\d{1,18})", text)
        if found is None:
            return None
        return cls(found[1], int(found[2]) - 1, int(found[3]) - 1)

    def past(self, event: "Event") -> bool:
        """Return whether a client at this position has had ``event``."""
        return event.offset <= (self.tick if event.kind == "tick" else self.prediction)

    def after(self, event: "Event") -> "Position":
        """Return the position of a client that has now had ``event``."""
        if event.kind == "tick":
            return self._replace(tick=max(self.tick, event.offset))
        return self._replace(prediction=max(self.prediction, event.offset))


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One message of a topic. ``key`` tells repeats: the tick's sequence or the issue time in us.

    ``body`` is the message's JSON on one line.
    """

    kind: Kind
    symbol: str
    offset: int
    key: int
    message: Tick | Prediction
    body: bytes
    frame: bytes = field(init=False)  # the event without its id, which differs between clients

    def __post_init__(self) -> None:
        frame = b"event: " + self.kind.encode() + b"\ndata: " + self.body + b"\n\n"
        object.__setattr__(self, "frame", frame)
