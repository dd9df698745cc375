import json
from uuid import uuid4

import pytest

from core.jobs.events import (
    CHANNEL_PREFIX,
    announce,
    current_epoch,
    events_since,
    newest_number,
    parse_announcement,
)
from core.valkey import get_valkey

pytestmark = pytest.mark.usefixtures("database")


def test_a_listener_gets_what_came_after_the_event_it_saw() -> None:
    tenant = uuid4()
    assert newest_number(tenant) == "0-0"
    announce(tenant, "job", {"n": 1})
    seen = newest_number(tenant)
    announce(tenant, "job", {"n": 2})
    announce(uuid4(), "job", {"n": 3})
    events = events_since(tenant, seen)
    assert events is not None
    assert [(event.name, json.loads(event.data)) for event in events] == [("job", {"n": 2})]
    assert events[0].id == newest_number(tenant)


@pytest.mark.parametrize("number", ["1-0", "no number"])
def test_an_event_that_is_no_longer_kept_gives_no_false_resumption(number: str) -> None:
    tenant = uuid4()
    announce(tenant, "job", {"n": 1})
    assert events_since(tenant, number) is None


def test_what_is_published_is_what_the_stream_keeps() -> None:
    tenant = uuid4()
    with get_valkey().pubsub() as channel:
        channel.subscribe(f"{CHANNEL_PREFIX}{tenant.hex}")
        assert channel.get_message(timeout=5)["type"] == "subscribe"
        announce(tenant, "job", {"text": 'a "quoted" ü'})
        message = channel.get_message(timeout=5)
    whose, event = parse_announcement(message["channel"], message["data"])
    assert (whose, event.id) == (tenant, newest_number(tenant))
    assert json.loads(event.data) == {"text": 'a "quoted" ü'}


def test_a_flush_begins_a_new_epoch_and_nothing_else_does() -> None:
    epoch = current_epoch()
    assert current_epoch() == epoch
    get_valkey().flushdb()
    assert current_epoch() != epoch
