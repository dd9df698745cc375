import json
import threading
from collections.abc import Iterator
from itertools import islice
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient

from core.jobs.control import cancel_job
from core.jobs.events import EPOCH_KEY, announce, current_epoch
from core.jobs.kinds import RUN_BACKTEST
from core.jobs.submit import submit_job
from core.tenancy.engine import app_engine
from core.tenancy.session import open_session
from core.valkey import get_valkey
from tests.builders import a_client, a_tenant
from web.api import events
from web.api.hub import HUB

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def tenant() -> UUID:
    return a_tenant()


@pytest.fixture
def client(tenant: UUID) -> FlaskClient:
    return a_client(tenant)


class Stream:
    """An open event stream, read event by event."""

    def __init__(self, client: FlaskClient, last_id: str | None = None) -> None:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        self.answer = client.get("/api/v1/events", headers=headers)
        assert self.answer.status_code == 200, self.answer.text
        assert self.answer.content_type.startswith("text/event-stream")
        self.events = self._parse()

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        return self.events

    def _parse(self) -> Iterator[tuple[str, str, str]]:
        """Yield id, name and data of each event; a comment has a name of its own."""
        for chunk in self.answer.response:
            for block in chunk.decode().split("\n\n"):
                lines = dict(line.partition(": ")[::2] for line in block.splitlines())
                if "event" in lines:
                    yield lines["id"], lines["event"], lines["data"]
                elif lines:
                    yield "", "comment", block

    def read(self, count: int) -> list[tuple[str, str, str]]:
        return list(islice(self.events, count))

    def close(self) -> None:
        self.answer.close()


def a_job(tenant: UUID) -> str:
    with open_session(tenant) as session:
        return str(submit_job(session, kind=RUN_BACKTEST, args={}))


def announced(tenant: UUID, job: str, status: str = "running") -> None:
    announce(tenant, "job", {"id": job, "status": status})


def test_a_stream_begins_with_a_snapshot_of_what_is_unfinished(
    tenant: UUID, client: FlaskClient
) -> None:
    jobs = [a_job(tenant), a_job(tenant)]
    stream = Stream(client)
    told = stream.read(2)
    assert [json.loads(data)["id"] for _, _, data in told] == jobs
    assert {json.loads(data)["status"] for _, _, data in told} == {"queued"}
    announced(tenant, jobs[0])
    number, name, data = stream.read(1)[0]
    assert (name, json.loads(data)["status"]) == ("job", "running")
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
    told = [json.loads(data)["status"] for _, _, data in again.read(2)]
    assert told == ["succeeded", "failed"]
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
    assert (first, second, json.loads(data)["id"]) == ("reset", "job", job)
    stream.close()


def test_nothing_of_another_tenant_is_told(tenant: UUID, client: FlaskClient) -> None:
    stream = Stream(client)
    announced(a_tenant(), str(uuid4()))
    mine = str(uuid4())
    announced(tenant, mine)
    told = [event for event in stream.read(2) if event[1] == "job"]
    assert [json.loads(data)["id"] for _, _, data in told] == [mine]
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
def fast_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_EVERY_S", 0.2)


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
    told = stream.read(2)
    assert told[0][1:] == ("comment", ": heartbeat")
    assert json.loads(told[1][2]) | {"status": "cancelled"} == json.loads(told[1][2])
    stream.close()


@pytest.mark.usefixtures("fast_heart")
def test_a_flush_ends_the_stream_so_that_it_begins_anew(client: FlaskClient) -> None:
    stream = Stream(client)
    stream.read(1)
    get_valkey().delete(EPOCH_KEY)
    assert {name for _, name, _ in stream} == {"comment"}
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
    assert tenant in HUB._listeners
    stream.close()
    assert tenant not in HUB._listeners
    client.head("/api/v1/events").close()
    assert tenant not in HUB._listeners


def test_an_open_stream_holds_no_session(tenant: UUID, client: FlaskClient) -> None:
    a_job(tenant)
    stream = Stream(client)
    stream.read(1)
    assert app_engine().pool.checkedout() == 0
    stream.close()


def test_closing_the_hub_ends_every_stream(client: FlaskClient) -> None:
    stream = Stream(client)
    stream.read(1)
    HUB.close()
    assert list(stream) == []
    stream.close()
