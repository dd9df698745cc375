import json
from uuid import uuid4

import pytest

from core.jobs.events import (
    CHANNEL_PREFIX,
    EPOCH_KEY,
    Position,
    announce,
    current_epoch,
    events_since,
    parse_announcement,
    position_of,
    stream_keys,
)
from core.valkey import get_valkey
from tests.programs import until

pytestmark = pytest.mark.usefixtures("database")


def test_a_listener_gets_what_came_after_the_event_it_saw() -> None:
    tenant = uuid4()
    assert position_of(tenant) == Position(current_epoch(), (0, 0))
    announce(tenant, "alert", {"n": 1})
    seen = position_of(tenant)
    announce(tenant, "alert", {"n": 2})
    announce(uuid4(), "alert", {"n": 3})
    events = events_since(tenant, seen)
    assert events is not None
    assert [(event.name, json.loads(event.data)) for event in events] == [("alert", {"n": 2})]
    assert events[0].position == position_of(tenant)


@pytest.mark.parametrize("number", [(0, 0), (1, 0), (10**20 - 1, 0)])
def test_an_event_that_is_no_longer_kept_gives_no_false_resumption(number: tuple[int, int]) -> None:
    tenant = uuid4()
    announce(tenant, "alert", {"n": 1})
    assert events_since(tenant, Position(current_epoch(), number)) is None
    kept = position_of(tenant)
    assert events_since(tenant, Position("another", kept.number)) is None
    assert events_since(tenant, kept) == []


@pytest.mark.parametrize(
    "text", ["", "1-1", "nonsense", "epoch.", "e.-", "e.(1-1", "e.1-1 ", "\xe9"]
)
def test_what_is_no_id_has_no_place(text: str) -> None:
    assert Position.parse(text) is None
    assert str(Position.parse("e.12-3")) == "e.12-3"


def test_what_is_published_is_what_the_stream_keeps() -> None:
    tenant = uuid4()
    with get_valkey().pubsub() as channel:
        channel.subscribe(f"{CHANNEL_PREFIX}{tenant.hex}")
        assert channel.get_message(timeout=5)["type"] == "subscribe"
        announce(tenant, "alert", {"text": 'a "quoted" ü'})
        message = channel.get_message(timeout=5)
    event = parse_announcement(message["data"])
    assert event.position == position_of(tenant)
    assert json.loads(event.data) == {"text": 'a "quoted" ü'}
    assert event.wire.decode() == f"id: {event.position}\nevent: alert\ndata: {event.data}\n\n"


def test_a_flush_begins_a_new_epoch_and_nothing_else_does() -> None:
    epoch = current_epoch()
    assert current_epoch() == epoch
    get_valkey().flushdb()
    assert current_epoch() != epoch


def test_whoever_begins_an_epoch_tells_of_it() -> None:
    get_valkey().delete(EPOCH_KEY)
    with get_valkey().pubsub() as channel:
        channel.subscribe(f"{CHANNEL_PREFIX}{EPOCH_KEY}")
        assert channel.get_message(timeout=5)["type"] == "subscribe"
        epoch = current_epoch().encode()
        # Channels know no database: what other test processes begin is heard here too.
        until(lambda: (channel.get_message(timeout=0.1) or {}).get("data") == epoch, "the epoch")


def test_a_stream_keeps_the_newest_thousand_for_a_day() -> None:
    tenant = uuid4()
    for n in range(1_300):
        announce(tenant, "alert", {"n": n})
    stream = stream_keys(tenant)[0]
    assert 1_000 <= get_valkey().xlen(stream) < 1_200
    assert 0 < get_valkey().pttl(stream) <= 86_400_000
