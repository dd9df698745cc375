from queue import Empty
from uuid import uuid4

import pytest

from core.jobs.events import Event, Position, announce
from core.valkey import get_valkey
from web.api import hub
from web.api.hub import Hub, Listener


def a_listener(cuts: list[bool] | None = None) -> Listener:
    return Listener(uuid4(), uuid4(), lambda: (cuts if cuts is not None else []).append(True))


AN_EVENT = Event(Position("e", (1, 1)), "alert", "{}")


def test_a_listener_that_reads_too_slowly_is_cut_off_and_given_no_more() -> None:
    cuts: list[bool] = []
    listener = a_listener(cuts)
    for _ in range(500):
        listener.put([AN_EVENT])
    assert not listener.closed
    for _ in range(50):
        listener.put([AN_EVENT] * 2)
    assert (listener.closed, cuts) == (True, [True])
    taken = [listener.take(0) for _ in range(501)]
    assert taken[-1] is None
    with pytest.raises(Empty):
        listener.take(0)


def test_a_listener_that_reads_is_never_cut_off() -> None:
    listener = a_listener()
    for _ in range(5_000):
        listener.put([AN_EVENT] * 3)
        assert listener.take(0) == [AN_EVENT] * 3
    assert not listener.closed


def test_what_is_heard_while_others_are_told_goes_out_together(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del database
    monkeypatch.setattr(hub, "_BREATH_S", 0.05)
    hearing = Hub()
    tenant = uuid4()
    listeners = [hearing.open(tenant, uuid4(), lambda: None) for _ in range(40)]
    assert listeners[0].take(10) == ()  # it hears from now on
    for n in range(100):
        announce(tenant, "alert", {"n": n})
    batches, events = 0, 0
    while events < 100:
        events += len(listeners[0].take(10) or ())
        batches += 1
    assert batches < 100
    for listener in listeners:
        hearing.forget(listener)
        hearing.forget(listener)
    assert (hearing._feeds, dict(hearing._streams_of)) == ({}, {})


def test_after_a_break_every_listener_is_told_to_look(database: str) -> None:
    del database
    hearing = Hub()
    listener = hearing.open(uuid4(), uuid4(), lambda: None)
    assert listener.take(10) == ()
    ours = str(get_valkey().connection_pool.connection_kwargs.get("db", 0))
    for client in get_valkey().client_list(_type="pubsub"):
        if client["db"] == ours:
            get_valkey().client_kill_filter(_id=client["id"])
    assert listener.take(10) == ()
    hearing.forget(listener)
