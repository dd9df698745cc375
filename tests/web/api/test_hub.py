import socket
from collections.abc import Iterator
from queue import Empty
from uuid import uuid4

import pytest

from core.errors import ThrottledError
from core.jobs.control import cancel_job
from core.jobs.events import Event, Position, announce, position_of, stream_keys
from core.jobs.kinds import RUN_BACKTEST
from core.jobs.submit import submit_job
from core.settings import get_settings
from core.tenancy.session import open_session
from core.valkey import get_valkey
from tests.builders import a_tenant
from tests.programs import logged_by, until
from web.api import hub
from web.api.connections import Connection
from web.api.hub import Hub, Listener

NOWHERE = Connection(None)


def a_listener(connection: Connection = NOWHERE) -> Listener:
    return Listener(uuid4(), uuid4(), connection)


AN_EVENT = Event(Position("e", (1, 1)), "alert", "{}")


def test_a_listener_that_reads_too_slowly_is_cut_off_and_given_no_more() -> None:
    ours, theirs = socket.socketpair()
    listener = a_listener(Connection(ours))
    for _ in range(500):
        listener.put([AN_EVENT])
    assert not listener.closed
    for _ in range(50):
        listener.put([AN_EVENT] * 2)
    assert (listener.closed, theirs.recv(1)) == (True, b"")
    ours.close()
    theirs.close()
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


@pytest.fixture
def untended(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no hub look for lost events: the tenants here are none, and a first look is an event."""
    del database
    monkeypatch.setattr(hub, "tend", position_of)


@pytest.fixture
def crowd(untended: None) -> Iterator[tuple[Hub, list[Listener]]]:
    """Sixty listeners of one tenant, who hear from now on, beside a request."""
    del untended
    hearing, tenant = Hub(), uuid4()
    listeners = [hearing.open(tenant, uuid4(), NOWHERE)]
    assert listeners[0].take(10) == ()
    listeners += [hearing.open(tenant, uuid4(), NOWHERE) for _ in range(59)]
    hearing.requests = 1
    yield hearing, listeners
    for listener in listeners:
        hearing.forget(listener)


def told(listeners: list[Listener]) -> int:
    """Count who was given an event, not who shall look because of another's epoch."""
    return sum(any(listener._given) for listener in listeners)


@pytest.fixture
def held(
    crowd: tuple[Hub, list[Listener]], monkeypatch: pytest.MonkeyPatch
) -> tuple[Hub, list[Listener]]:
    """The crowd amid a broadcast: twenty were told, the others wait for the request's end."""
    monkeypatch.setattr(hub, "_BREATHS", 1_000_000)
    _, listeners = crowd
    announce(listeners[0].tenant_id, "alert", {})
    until(lambda: told(listeners) == 20, "the first to be told")
    return crowd


def test_a_broadcast_lets_requests_come_first(held: tuple[Hub, list[Listener]]) -> None:
    hearing, listeners = held
    hearing.requests = 0
    until(lambda: told(listeners) == 60, "the others to be told")


def test_a_broadcast_does_not_wait_for_requests_without_end(
    crowd: tuple[Hub, list[Listener]],
) -> None:
    _, listeners = crowd
    announce(listeners[0].tenant_id, "alert", {})
    until(lambda: told(listeners) == 60, "all to be told")


def test_what_is_heard_while_others_are_told_goes_out_together(
    held: tuple[Hub, list[Listener]],
) -> None:
    hearing, listeners = held
    for _ in range(99):
        announce(listeners[0].tenant_id, "alert", {})
    until(lambda: hearing._heard.qsize() == 99, "the others to be heard")
    hearing.requests = 0
    batches: list[int] = []
    while sum(batches) < 100:
        batches.append(len(listeners[0].take(10) or ()))
    assert [events for events in batches if events] == [1, 99]
    for listener in listeners:
        hearing.forget(listener)
        hearing.forget(listener)
    assert (hearing._feeds, dict(hearing._streams_of)) == ({}, {})


@pytest.mark.usefixtures("untended")
def test_after_a_break_every_listener_is_told_to_look() -> None:
    hearing = Hub()
    listener = hearing.open(uuid4(), uuid4(), NOWHERE)
    assert listener.take(10) == ()
    ours = str(get_valkey().connection_pool.connection_kwargs.get("db", 0))
    for client in get_valkey().client_list(_type="pubsub"):
        if client["db"] == ours:
            get_valkey().client_kill_filter(_id=client["id"])
    assert listener.take(10) == ()
    hearing.forget(listener)


def test_of_several_looks_that_wait_one_is_enough() -> None:
    listener = a_listener()
    listener.put([AN_EVENT])
    for _ in range(10_000):
        listener.put(())
    listener.put([AN_EVENT])
    assert [listener.take(0) for _ in range(3)] == [[AN_EVENT], (), [AN_EVENT]]
    listener.put(())
    assert listener.take(0) == ()
    with pytest.raises(Empty):
        listener.take(0)


@pytest.fixture
def two_streams(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """A hub takes two streams, of a user or in all."""
    with monkeypatch.context() as patch:
        patch.setenv(request.param, "2")
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()


@pytest.mark.parametrize(
    "two_streams", ["EVENT_STREAMS_PER_USER", "EVENT_STREAMS_PER_PROCESS"], indirect=True
)
@pytest.mark.usefixtures("database", "two_streams")
def test_who_closed_a_stream_may_open_another_at_once() -> None:
    hearing, user = Hub(), uuid4()
    (ours, theirs), (_, others) = pairs = socket.socketpair(), socket.socketpair()
    left, stays = (hearing.open(uuid4(), user, Connection(end)) for end, _ in pairs)
    with pytest.raises(ThrottledError):
        hearing.open(uuid4(), user, NOWHERE)
    theirs.close()
    fresh = hearing.open(uuid4(), user, NOWHERE)
    assert (left.closed, stays.closed) == (True, False)
    with pytest.raises(ThrottledError):
        hearing.open(uuid4(), user, NOWHERE)
    for listener in (left, stays, fresh):
        hearing.forget(listener)
    assert (hearing._feeds, dict(hearing._streams_of)) == ({}, {})
    for end in (ours, others, pairs[1][0]):
        end.close()


@pytest.mark.usefixtures("untended")
def test_what_nobody_foresaw_is_logged_and_makes_no_stream_deaf() -> None:
    hearing, tenant = Hub(), uuid4()
    listener = hearing.open(tenant, uuid4(), NOWHERE)
    assert listener.take(10) == ()
    with logged_by(hub) as logged:
        get_valkey().publish(stream_keys(tenant)[0], "no announcement")
        assert listener.take(10) == (), "it looks for what it missed"
        hearing._heard.put(None)
        assert listener.take(10) == (), "it looks for what it missed"
        # Until it hears again it looks for what it missed, which nobody does here.
        until(lambda: announce(tenant, "alert", {}) or is_told(listener, "alert"), "an alert")
    told = [line for line in logged if line["event"] == "events_work_failed"]
    assert [(line["work"], line["exc_info"]) for line in told] == [
        ("_hear", True),
        ("_hand_out", True),
    ]
    hearing.forget(listener)


@pytest.mark.usefixtures("database")
def test_a_tenant_that_cannot_be_tended_keeps_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub, "TEND_EVERY_S", 0.2)
    monkeypatch.setattr(hub, "_LOOK_EVERY_S", 0.1)
    hearing, gone, stands = Hub(), uuid4(), a_tenant()
    with open_session(stands) as session:
        job = submit_job(session, kind=RUN_BACKTEST, args={})
    listeners = [hearing.open(tenant, uuid4(), NOWHERE) for tenant in (gone, stands)]
    until(lambda: get_valkey().hexists(stream_keys(stands)[2], str(job)), "the first look")
    with open_session(stands) as session:
        cancel_job(session, job)  # nobody announces it
    until(lambda: is_told(listeners[1], "job"), "the job to be told")
    for listener in listeners:
        hearing.forget(listener)


def is_told(listener: Listener, name: str) -> bool:
    return name in {event.name for event in listener.take(10) or ()}
