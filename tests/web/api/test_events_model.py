"""Whatever happens between table and client, the client ends up believing what the table says."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import psycopg
import pytest

from core.errors import ConflictError
from core.jobs import claims, control, dead_letters
from core.jobs.claims import Claim, FenceLostError
from core.jobs.events import EPOCH_KEY, Event, Position, announce, position_of, stream_keys
from core.jobs.kinds import IMPORT_BARS, RUN_BACKTEST
from core.jobs.submit import submit_job, submit_parent
from core.jobs.tending import announce_moved, resume
from core.tenancy.session import open_session
from core.valkey import get_valkey
from tests import programs
from tests.builders import a_client, a_tenant
from tests.listening import Client
from web.api import events, hub
from web.api.hub import Hub

pytestmark = pytest.mark.usefixtures("database", "fast")
Look = psycopg.Connection[tuple[object, ...]]
STEPS = 60


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_EVERY_S", 0.1)
    monkeypatch.setattr(hub, "TEND_EVERY_S", 0.2)
    monkeypatch.setattr(hub, "_LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(hub, "_AGAIN_AFTER_S", 0.05)


class Theatre:
    """A tenant, its clients, and all that can happen to them, by the names of the methods."""

    def __init__(self, look: Look, seed: int) -> None:
        self.look = look
        self.random = random.Random(seed)
        self.tenant = a_tenant()
        self.api = a_client(self.tenant, role="auditor")
        self.clients = [Client(self.api)]
        self.claims: list[Claim] = []
        self.alerts = 0

    def a_job(self) -> UUID | None:
        rows = self.look.execute("SELECT id FROM neozork.jobs WHERE tenant_id = %s", [self.tenant])
        jobs = [row[0] for row in rows.fetchall()]
        return self.random.choice(jobs) if jobs else None

    def submit(self) -> None:
        with open_session(self.tenant) as session:
            submit_job(session, kind=RUN_BACKTEST, args={})

    def submit_in_parts(self) -> None:
        parts: list[dict[str, Any]] = [{}] * self.random.randint(1, 3)
        with open_session(self.tenant) as session:
            submit_parent(session, kind=RUN_BACKTEST, args={}, part=IMPORT_BARS, parts=parts)

    def claim(self) -> None:
        job = self.a_job()
        taken = claims.claim(self.tenant, job) if job else None
        if taken:
            self.claims.append(taken)

    def finish(self) -> None:
        with suppress(FenceLostError):
            taken = self.claims.pop(0) if self.claims else None
            if taken:
                with claims.finishing(taken):
                    pass
                claims.announce_status(taken, "succeeded", progress=1.0)

    def fail(self) -> None:
        if self.claims:
            with suppress(FenceLostError):
                claims.fail(self.claims.pop(), {"code": "planned"}, again=True)

    def tell_progress_of_whatever_was_ever_claimed(self) -> None:
        for taken in self.claims:
            claims.announce_status(taken, "running", progress=self.random.random())

    def cancel(self) -> None:
        job = self.a_job()
        if job:
            with suppress(ConflictError):
                with open_session(self.tenant) as session:
                    cancelled = control.cancel_job(session, job)
                control.announce_job(cancelled)

    def retry(self) -> None:
        job = self.a_job()
        if job:
            with suppress(ConflictError):
                with open_session(self.tenant) as session:
                    again = dead_letters.retry_job(session, job)
                control.announce_job(again)

    def move_all_that_failed(self) -> None:
        move = self.random.choice([dead_letters.retry_failed, dead_letters.discard_failed])
        with open_session(self.tenant) as session:
            moved = control.jobs_by_id(session, move(session, control.JobFilter()))
        announce_moved(moved)

    def alert(self) -> None:
        self.alerts += 1
        announce(self.tenant, "alert", {"n": self.alerts})

    def lose_a_new_job(self) -> None:
        self.look.execute(
            "INSERT INTO neozork.jobs (tenant_id, kind, queue, args)"
            " VALUES (%s, 'backtest.run', 'interactive', '{}')",
            [self.tenant],
        )

    def lose_a_start(self) -> None:
        self._silently("status = 'running', attempt = attempt + 1", "status = 'queued'")

    def lose_an_end(self) -> None:
        self._silently("status = 'succeeded', finished_at = now()", "status = 'running'")

    def _silently(self, change: str, which: str) -> None:
        self.look.execute(
            f"UPDATE neozork.jobs SET {change} WHERE id = (SELECT id FROM neozork.jobs"
            f" WHERE tenant_id = %s AND {which} AND parts IS NULL LIMIT 1)",
            [self.tenant],
        )

    def flush(self) -> None:
        get_valkey().flushdb()

    def forget_the_epoch(self) -> None:
        get_valkey().delete(EPOCH_KEY)

    def forget_the_view(self) -> None:
        get_valkey().delete(stream_keys(self.tenant)[2])

    def trim(self) -> None:
        get_valkey().xtrim(stream_keys(self.tenant)[0], maxlen=self.random.randrange(3))

    def cut_the_subscriber(self) -> None:
        ours = get_valkey().connection_pool.connection_kwargs.get("db", 0)
        for client in get_valkey().client_list(_type="pubsub"):
            if client["db"] == str(ours):
                get_valkey().client_kill_filter(_id=client["id"])

    def a_client_comes(self) -> None:
        if len(self.clients) < 4:
            self.clients.append(Client(self.api))

    def a_client_reconnects(self) -> None:
        self.random.choice(self.clients).reconnect()

    def a_client_reads_nothing_for_a_while(self) -> None:
        client = self.random.choice(self.clients)
        client.hold()
        threading.Timer(self.random.random() / 4, client.go_on).start()

    def play(self) -> None:
        usual = [self.submit, self.claim, self.claim, self.finish, self.fail, self.cancel]
        usual += [self.alert, self.submit_in_parts, self.retry]
        usual += [self.tell_progress_of_whatever_was_ever_claimed, self.move_all_that_failed]
        losses = [self.lose_a_new_job, self.lose_a_start, self.lose_an_end]
        faults = [self.flush, self.forget_the_epoch, self.forget_the_view, self.trim]
        people = [self.a_client_comes, self.a_client_reconnects, self.cut_the_subscriber]
        people += [self.a_client_reads_nothing_for_a_while, self.a_client_reconnects]
        for _ in range(STEPS):
            kinds = self.random.choices([usual, losses, faults, people], [10, 2, 1, 3])[0]
            self.random.choice(kinds)()
        self.until_all_agree()

    def until_all_agree(self) -> None:
        for client in self.clients:
            client.go_on()
            client.until_it_agrees(self.tenant)


@pytest.fixture
def theatre(as_superuser: Look) -> Iterator[Callable[[int], Theatre]]:
    made: list[Theatre] = []

    def make(seed: int) -> Theatre:
        made.append(Theatre(as_superuser, seed))
        return made[-1]

    yield make
    for theatre in made:
        for client in theatre.clients:
            client.stop()


@pytest.mark.parametrize("seed", range(12))
def test_a_client_ends_up_believing_what_the_table_says(
    theatre: Callable[[int], Theatre], seed: int
) -> None:
    theatre(seed).play()


def _leave_one_out(tenant: UUID, last_id: str) -> list[Event] | None:
    missed = resume(tenant, last_id)
    return missed[1:] if missed else missed


def _tell_again(tenant: UUID, last_id: str) -> list[Event] | None:
    missed = resume(tenant, last_id)
    seen = Position.parse(last_id)
    assert seen is not None
    return None if missed is None else [Event(seen, "alert", '{"n": 0}'), *missed]


PLANTED = {
    "a resumption leaves one out": (events, "resume", _leave_one_out),
    "every id is taken for known": (events, "resume", lambda _tenant, _last_id: []),
    "nobody looks for what a break lost": (Hub, "_look_anew", lambda _hub: None),
    "nobody looks for lost events": (hub, "tend", position_of),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_the_model_catches_a_planted_fault(
    theatre: Callable[[int], Theatre], monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    monkeypatch.setattr(*PLANTED[planted])
    monkeypatch.setattr(programs, "PATIENCE_S", 2.0)
    with pytest.raises(AssertionError):
        play_all(theatre)


def play_all(theatre: Callable[[int], Theatre]) -> None:
    for seed in range(12):
        theatre(seed).play()
