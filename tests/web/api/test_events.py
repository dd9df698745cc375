import threading
from collections.abc import Iterator
from itertools import islice
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from core.identity.models import TenantUser
from core.jobs.control import cancel_job
from core.jobs.events import EPOCH_KEY, announce, current_epoch, position_of
from core.jobs.kinds import RUN_BACKTEST
from core.jobs.submit import submit_job
from core.jobs.tending import tend
from core.settings import get_settings
from core.tenancy.engine import app_engine
from core.tenancy.session import open_platform_session, open_session
from core.valkey import get_valkey
from tests.builders import a_client, a_tenant
from tests.listening import Message, messages
from tests.programs import PATIENCE_S, until
from web.api import events, hub
from web.api.hub import HUB

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def tenant() -> UUID:
    return a_tenant()


@pytest.fixture
def client(tenant: UUID) -> FlaskClient:
    return a_client(tenant)


@pytest.fixture(autouse=True)
def slow_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no beat come in between, nor a look at the table, of which these announcements lie."""
    monkeypatch.setattr(events, "HEARTBEAT_EVERY_S", PATIENCE_S)
    monkeypatch.setattr(hub, "tend", position_of)


class Stream:
    """An open event stream, read event by event."""

    def __init__(self, client: FlaskClient, last_id: str | None = None) -> None:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        self.answer = client.get("/api/v1/events", headers=headers)
        assert self.answer.status_code == 200, self.answer.text
        assert self.answer.content_type.startswith("text/event-stream")
        self.events = messages(self.answer.response)

    def __iter__(self) -> Iterator[Message]:
        return self.events

    def read(self, count: int) -> list[Message]:
        return list(islice(self.events, count))

    def close(self) -> None:
        self.answer.close()


def a_job(tenant: UUID) -> str:
    with open_session(tenant) as session:
        return str(submit_job(session, kind=RUN_BACKTEST, args={}))


def announced(tenant: UUID, job: str, status: str = "running") -> None:
    attempt = 0 if status == "queued" else 1
    announce(tenant, "job", {"id": job, "status": status, "attempt": attempt})


def test_a_stream_begins_with_a_snapshot_of_what_is_unfinished(
    tenant: UUID, client: FlaskClient
) -> None:
    jobs = [a_job(tenant), a_job(tenant)]
    stream = Stream(client)
    told = stream.read(2)
    assert [data["id"] for _, _, data in told] == jobs
    assert {data["status"] for _, _, data in told} == {"queued"}
    announced(tenant, jobs[0])
    number, name, data = stream.read(1)[0]
    assert (name, data["status"]) == ("job", "running")
    assert number.startswith(f"{current_epoch()}.")
    stream.close()


def test_a_stream_resumes_after_the_last_id_that_came(tenant: UUID, client: FlaskClient) -> None:
    job = a_job(tenant)
    stream = Stream(client)
    stream.read(1)
    announced(tenant, job)
    last_id = stream.read(1)[0][0]
    stream.close()
    announced(tenant, job, "succeeded")
    announced(tenant, job, "failed")
    again = Stream(client, last_id)
    told = [data["status"] for _, _, data in again.read(2)]
    assert told == ["succeeded", "failed"]
    again.close()


def test_a_stream_that_had_nothing_to_tell_yet_can_be_resumed(
    tenant: UUID, client: FlaskClient
) -> None:
    stream = Stream(client)
    last_id = stream.read(1)[0][0]
    stream.close()
    mine = str(uuid4())
    announced(tenant, mine)
    announced(tenant, mine, "succeeded")
    again = Stream(client, last_id)
    assert [data["status"] for _, _, data in again.read(2)] == ["running", "succeeded"]
    again.close()


@pytest.mark.parametrize(
    "last_id",
    ["1-1", "nonsense", "old.1-1", "{epoch}.1-1", "{epoch}.(1-1", "{epoch}.-", "\xe9.\xe9"],
)
def test_an_id_that_is_not_kept_gets_reset_and_a_snapshot(
    tenant: UUID, client: FlaskClient, last_id: str
) -> None:
    job = a_job(tenant)
    announced(tenant, job)
    stream = Stream(client, last_id.format(epoch=current_epoch()))
    (_, first, _), (_, second, data) = stream.read(2)
    assert (first, second, data["id"]) == ("reset", "job", job)
    stream.close()


def test_nothing_of_another_tenant_is_told(tenant: UUID, client: FlaskClient) -> None:
    stream = Stream(client)
    announced(a_tenant(), str(uuid4()))
    mine = str(uuid4())
    announced(tenant, mine)
    told = [event for event in stream.read(2) if event[1] == "job"]
    assert [data["id"] for _, _, data in told] == [mine]
    stream.close()


def test_an_event_that_takes_another_permission_is_not_told(
    tenant: UUID, client: FlaskClient
) -> None:
    stream = Stream(client)
    announce(tenant, "audit", {"secret": 1})
    announce(tenant, "billing", {"secret": 1})
    announce(tenant, "unheard-of", {"secret": 1})
    announced(tenant, str(uuid4()))
    assert [name for _, name, _ in stream.read(2)] == ["comment", "job"]
    stream.close()
    auditor = Stream(a_client(tenant, role="auditor"))
    announce(tenant, "audit", {"seen": 1})
    assert [name for _, name, _ in auditor.read(2)] == ["comment", "audit"]
    auditor.close()


@pytest.fixture
def fast_heart(slow_heart: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del slow_heart
    monkeypatch.setattr(events, "HEARTBEAT_EVERY_S", 0.2)
    monkeypatch.setattr(hub, "tend", tend)
    monkeypatch.setattr(hub, "TEND_EVERY_S", 0.2)
    monkeypatch.setattr(hub, "_LOOK_EVERY_S", 0.1)


@pytest.fixture
def busy(tenant: UUID) -> Iterator[None]:
    """Let something happen in the tenant all the time."""
    stop = threading.Event()

    def talk() -> None:
        while not stop.wait(0.02):
            announced(tenant, "00000000-0000-4000-8000-000000000000")

    talker = threading.Thread(target=talk)
    talker.start()
    yield
    stop.set()
    talker.join()


@pytest.mark.usefixtures("fast_heart", "busy")
def test_a_busy_stream_still_ends_with_its_sign_in(client: FlaskClient) -> None:
    stream = Stream(client)
    stream.read(3)
    assert client.post("/api/v1/auth/logout").status_code == 204
    assert len(stream.read(2_000)) < 2_000
    stream.close()


@pytest.mark.usefixtures("fast_heart")
def test_a_quiet_stream_beats_and_tells_what_an_event_lost_told(
    tenant: UUID, client: FlaskClient
) -> None:
    job = a_job(tenant)
    stream = Stream(client)
    stream.read(1)
    with open_session(tenant) as session:
        cancel_job(session, UUID(job))  # committed, and never announced
    told = next(data for _, name, data in stream if name == "job")
    assert (told["id"], told["status"]) == (job, "cancelled")
    assert "comment" in {name for _, name, _ in stream.read(3)}
    stream.close()


def test_an_epoch_that_changes_resets_an_open_stream_at_once(
    tenant: UUID, client: FlaskClient
) -> None:
    job = a_job(tenant)
    stream = Stream(client)
    before = stream.read(1)[0][0]
    get_valkey().flushdb()
    assert before.partition(".")[0] != current_epoch()
    (first_id, first, _), (second_id, second, data) = stream.read(2)
    assert (first, second, data["id"]) == ("reset", "job", job)
    assert (first_id, second_id.partition(".")[0]) == (f"{current_epoch()}.0-0", current_epoch())
    announced(tenant, job)
    assert stream.read(1)[0][2]["status"] == "running"
    stream.close()


@pytest.mark.usefixtures("fast_heart")
def test_a_new_epoch_that_nobody_told_of_is_noticed_at_a_beat(client: FlaskClient) -> None:
    stream = Stream(client)
    get_valkey().set(EPOCH_KEY, "another")
    assert "reset" in (name for _, name, _ in stream)
    stream.close()


def test_a_snapshot_that_was_cut_in_the_middle_is_begun_anew(
    tenant: UUID, client: FlaskClient
) -> None:
    jobs = [a_job(tenant), a_job(tenant)]
    stream = Stream(client)
    last_id = stream.read(1)[0][0]
    stream.close()
    again = Stream(client, last_id)
    told = again.read(3)
    assert [name for _, name, _ in told] == ["reset", "job", "job"]
    assert [data["id"] for _, _, data in told[1:]] == jobs
    again.close()
    whole = Stream(client, told[-1][0])
    announced(tenant, jobs[0])
    assert [data["status"] for _, name, data in whole.read(2) if name == "job"] == ["running"]
    whole.close()


@pytest.mark.parametrize(
    ("setting", "says"),
    [("event_streams_per_process", "server"), ("event_streams_per_user", "you")],
)
def test_more_streams_than_the_limit_are_refused_with_429(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, setting: str, says: str
) -> None:
    monkeypatch.setenv(setting.upper(), "2")
    get_settings.cache_clear()
    try:
        streams = [Stream(client), Stream(client)]
        answer = client.get("/api/v1/events")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")
        assert answer.content_type == "application/problem+json"
        told = answer.json["code"], answer.json["title"]
        assert told == ("too_many_streams", "Too many event streams")
        assert says in answer.json["detail"].lower()
        streams.pop().close()
        Stream(client).close()
        streams.pop().close()
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


def test_one_users_streams_take_no_place_of_anothers(
    tenant: UUID, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENT_STREAMS_PER_USER", "1")
    get_settings.cache_clear()
    try:
        streams = [Stream(client), Stream(a_client(tenant))]
        assert client.get("/api/v1/events").status_code == 429
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    for stream in streams:
        stream.close()


def test_who_may_no_longer_listen_is_told_nothing_more(
    tenant: UUID, client: FlaskClient, fast_heart: None
) -> None:
    del fast_heart
    stream = Stream(client)
    with open_platform_session() as session:
        session.execute(
            update(TenantUser).where(TenantUser.tenant_id == tenant).values(is_active=False)
        )
    assert {name for _, name, _ in stream} <= {"comment"}
    stream.close()


def test_without_valkey_a_stream_is_refused_with_503(
    client: FlaskClient, valkey_away: None
) -> None:
    del valkey_away
    answer = client.get("/api/v1/events")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json["code"] == "unavailable"


def test_without_postgres_a_stream_is_refused_with_503(
    client: FlaskClient, postgres_away: None
) -> None:
    del postgres_away
    answer = client.get("/api/v1/events")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


def test_a_stream_that_was_left_is_forgotten(tenant: UUID, client: FlaskClient) -> None:
    stream = Stream(client)
    stream.read(1)
    assert tenant.hex in HUB._feeds
    stream.close()
    assert tenant.hex not in HUB._feeds
    client.head("/api/v1/events").close()
    assert tenant.hex not in HUB._feeds


def test_an_open_stream_holds_no_session(tenant: UUID, client: FlaskClient) -> None:
    a_job(tenant)
    stream = Stream(client)
    stream.read(1)
    # The hub itself may be looking for lost events at this moment.
    until(lambda: app_engine().pool.checkedout() == 0, "all sessions to be given back")
    stream.close()


def test_closing_the_hub_ends_every_stream_and_opens_no_more(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HUB, "closing", False)
    stream = Stream(client)
    stream.read(1)
    HUB.close()
    assert b"retry: " in b"".join(stream.answer.response)
    assert list(stream) == []
    stream.close()
    answer = client.get("/api/v1/events")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
