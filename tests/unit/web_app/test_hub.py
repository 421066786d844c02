import pytest
from tests.unit.web_app.conftest import make_events

from web_app.errors import TooManyStreamsError
from web_app.live import Event, Hub, Position, Subscription

BTC = "BTC-USD"
EPOCH = "0123abcd"


def make_hub(history_s: int = 60, max_streams: int = 3, first: int = 0) -> Hub:
    hub = Hub([BTC], history_s, max_streams)
    hub.begin(EPOCH, {(BTC, "tick"): first, (BTC, "prediction"): first})
    return hub


def drain(client: Subscription) -> list[Event]:
    reset, events, closed = client.take(0)
    assert reset is None
    assert not closed
    fresh = []
    for event in events:
        if not client.position.past(event):
            client.position = client.position.after(event)
            fresh.append(event)
    return fresh


def test_a_position_survives_being_written() -> None:
    for position in (Position(EPOCH), Position(EPOCH, 0, 41), Position(EPOCH, 10**12, 3)):
        assert Position.parse(str(position)) == position
    for text in ("", "1-2-3", f"{EPOCH}-1", f"{EPOCH}--1-2", f"{EPOCH}-1-2\n", "0123ABCD-1-2"):
        assert Position.parse(text) is None


def test_a_client_gets_what_comes_after_it_subscribed_and_nothing_twice() -> None:
    hub = make_hub()
    old, new = make_events(5)[:4], make_events(5)[4:]
    for event in old:
        hub.publish(event)
    client = hub.subscribe(BTC, None, 2**60)
    for event in [*new, *new, *old]:
        hub.publish(event)
    assert drain(client) == new


def test_a_client_may_begin_a_while_back() -> None:
    hub = make_hub()
    events = make_events(10)
    for event in events:
        hub.publish(event)
    client = hub.subscribe(BTC, None, events[9].key)
    assert drain(client) == [event for event in events if event.key > events[9].key]


@pytest.mark.parametrize("cut", range(0, 20, 3))
def test_resuming_in_another_process_misses_and_repeats_nothing(cut: int) -> None:
    """The other process read the two topics in another interleaving."""
    events = make_events(10)
    first, second = make_hub(), make_hub()
    client = first.subscribe(BTC, None, 2**60)
    for event in events[:cut]:
        first.publish(event)
    seen = drain(client)
    for event in sorted(events, key=lambda e: (e.kind, e.offset)):
        second.publish(event)
    resumed = second.subscribe(BTC, str(client.position), 0)
    seen += drain(resumed)
    for kind in ("tick", "prediction"):
        assert [e.offset for e in seen if e.kind == kind] == list(range(10))


def test_a_slot_that_is_behind_sends_only_what_the_client_has_not_had() -> None:
    events = make_events(6)
    behind = make_hub()
    client = behind.subscribe(BTC, f"{EPOCH}-4-4", 0)
    for event in events:
        behind.publish(event)
    assert {event.offset for event in drain(client)} == {4, 5}


@pytest.mark.parametrize(
    "last_id", ["nonsense", "ffffffff-5-5", f"{EPOCH}-1-1", f"{EPOCH}-9-999999"]
)
def test_an_id_that_cannot_be_resumed_is_a_reset(last_id: str) -> None:
    hub = make_hub(history_s=2)
    for event in make_events(10):
        hub.publish(event)
    client = hub.subscribe(BTC, last_id, 0)
    reset, events, _ = client.take(0)
    assert reset
    assert events == []
    assert client.position == Position(EPOCH, 9, 9)


def test_nothing_missed_is_no_reset_though_the_topic_is_old() -> None:
    """A topic whose last prediction is long past: ids say so, and resume everywhere."""
    hub = make_hub(first=1_000)
    tick = make_events(1, first_offset=1_000)[0]
    hub.publish(tick)
    client = hub.subscribe(BTC, None, 0)
    assert drain(client) == [tick]
    other = make_hub(first=1_000)
    assert drain(other.subscribe(BTC, str(client.position), 0)) == []


def test_a_slow_client_is_reset_and_the_others_are_not() -> None:
    hub = make_hub(history_s=60)
    kept = 2 * 60 * 2  # kinds, seconds, events of a kind in one
    slow, quick = (hub.subscribe(BTC, None, 2**60) for _ in range(2))
    published = make_events(kept)
    received = []
    for event in published:
        hub.publish(event)
        received += drain(quick)
    reset, events, _ = slow.take(0)
    assert reset == "this client reads too slowly"
    assert len(events) <= kept
    assert received == published


def test_a_backlog_that_comes_at_once_resets_nobody_who_could_resume() -> None:
    hub = make_hub(history_s=900)
    client = hub.subscribe(BTC, None, 2**60)
    backlog = make_events(900)
    for event in backlog:
        hub.publish(event)
    assert drain(client) == backlog


def test_new_topics_reset_everybody_and_forget_the_old_events() -> None:
    hub = make_hub()
    for event in make_events(3):
        hub.publish(event)
    client = hub.subscribe(BTC, None, 2**60)
    hub.begin("ffffffff", {(BTC, "tick"): 0, (BTC, "prediction"): 0})
    assert client.take(0)[0] == "the topics were made anew"
    assert str(client.position) == "ffffffff-0-0"
    fresh = make_events(3)
    for event in fresh:
        hub.publish(event)
    assert drain(client) == fresh


def test_the_cap_and_the_drain_refuse_and_leaving_makes_room() -> None:
    hub = make_hub(max_streams=2)
    clients = [hub.subscribe(BTC, None, 0) for _ in range(2)]
    with pytest.raises(TooManyStreamsError, match="2 streams are open"):
        hub.subscribe(BTC, None, 0)
    hub.unsubscribe(BTC, clients[0])
    hub.unsubscribe(BTC, clients[0])
    assert hub.streams == 1
    hub.subscribe(BTC, None, 0)
    hub.close()
    assert clients[1].take(0)[2]
    with pytest.raises(TooManyStreamsError):
        hub.subscribe(BTC, None, 0)
