"""What the views show; the JSON API sends these as they are. Sizes are in bytes."""

import msgspec

__all__ = [
    "Broker",
    "Cluster",
    "ConfigEntry",
    "Group",
    "GroupOffset",
    "Groups",
    "Member",
    "Message",
    "MessagePage",
    "Partition",
    "Payload",
    "Topic",
    "TopicDetail",
    "Topics",
]


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """``leaders`` and ``replicas`` count partitions; disks are None where the broker hides them."""

    id: int
    host: str
    port: int
    rack: str | None
    controller: bool
    leaders: int
    replicas: int
    size: int
    disk_free: int | None
    disk_total: int | None


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """``under_replicated`` and ``offline`` count partitions."""

    cluster_id: str
    controller_id: int
    brokers: tuple[Broker, ...]
    topics: int
    partitions: int
    messages: int
    size: int
    under_replicated: int
    offline: int


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """Messages have the offsets from ``begin`` to before ``end``; None without a leader."""

    index: int
    leader: int | None
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    begin: int | None
    end: int | None
    size: int


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """``messages`` is the sum of end minus begin; ``size`` counts all replicas."""

    name: str
    internal: bool
    replication: int
    messages: int
    size: int
    under_replicated: int
    offline: int
    partitions: tuple[Partition, ...]


class ConfigEntry(msgspec.Struct, frozen=True, kw_only=True):
    """``source`` is topic, broker or default; ``default`` is what Kafka has without settings."""

    name: str
    value: str | None
    default: str | None
    source: str


class Topics(msgspec.Struct, frozen=True):
    """All topics, by name."""

    topics: tuple[Topic, ...]


class TopicDetail(msgspec.Struct, frozen=True):
    """One topic with its whole configuration, what differs from the default first."""

    topic: Topic
    config: tuple[ConfigEntry, ...]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer; ``partitions`` are written topic/index."""

    id: str
    client_id: str
    host: str
    partitions: tuple[str, ...]


class GroupOffset(msgspec.Struct, frozen=True, kw_only=True):
    """Where a group is; ``committed`` None: nothing yet; ``end`` None: partition gone."""

    topic: str
    partition: int
    committed: int | None
    end: int | None
    lag: int | None
    member: str | None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer group; ``lag`` sums what is known, None where nothing was committed."""

    id: str
    state: str
    assignor: str
    lag: int | None
    members: tuple[Member, ...]
    offsets: tuple[GroupOffset, ...]
    error: str | None


class Groups(msgspec.Struct, frozen=True):
    """All consumer groups, by id."""

    groups: tuple[Group, ...]


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes for people: ``encoding`` is json, text or hex; ``size`` is that of the whole."""

    text: str
    encoding: str
    size: int
    truncated: bool


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """``time`` is UTC in ISO 8601, None where the message has none; a None value is a tombstone."""

    partition: int
    offset: int
    time: str | None
    time_source: str
    key: Payload | None
    value: Payload | None
    headers: tuple[tuple[str, Payload | None], ...]


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    """Messages in the order of reading, and how far was read.

    ``searched`` counts the messages looked at, ``available`` those in the partitions; ``older``
    and ``newer`` are values for ``offset`` with from=before and from=offset, None at the edge.
    """

    topic: str
    partitions: tuple[int, ...]
    messages: tuple[Message, ...]
    searched: int
    available: int
    stopped_by: str | None
    older: str | None
    newer: str | None
