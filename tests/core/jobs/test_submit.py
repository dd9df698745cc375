from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from redis.client import PubSub

from core.errors import InvalidInputError
from core.jobs import claims, events
from core.jobs.control import cancel_job, get_job
from core.jobs.kinds import END_TRIAL, IMPORT_BARS, RUN_BACKTEST, Kind
from core.jobs.running import RunningJob, give_back_unfinished, perform
from core.jobs.submit import submit_job
from core.logging import bound
from core.tenancy.session import open_session
from core.valkey import get_valkey
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("quiet_jobs")
COALESCING, ONCE = END_TRIAL, RUN_BACKTEST


def asked(tenant: UUID, kind: Kind, **more: object) -> UUID:
    with open_session(tenant) as session:
        return submit_job(session, kind=kind, args={}, **more)


def finish(tenant: UUID, job: UUID) -> None:
    taken = claims.claim(tenant, job)
    assert taken is not None
    with claims.finishing(taken):
        pass


@pytest.fixture
def wake_ups(monkeypatch: pytest.MonkeyPatch) -> Iterator[PubSub]:
    """Listen to this test's calls alone: channels are shared by all of Valkey's databases."""
    here = f"wake:{uuid4()}"
    monkeypatch.setattr(events, "WAKE_CHANNEL", here)
    with get_valkey().pubsub() as channel:
        channel.subscribe(events.WAKE_CHANNEL)
        assert channel.get_message(timeout=5)["type"] == "subscribe"
        yield channel


def heard(channel: PubSub, mark: str) -> list[str]:
    """Answer what was heard before a mark that is published now."""
    get_valkey().publish(events.WAKE_CHANNEL, mark)
    queues: list[str] = []
    while not queues or queues[-1] != mark:
        queues.append(channel.get_message(timeout=5)["data"].decode())
    return queues[:-1]


def test_work_that_waits_is_not_asked_for_twice_but_again_while_it_runs() -> None:
    tenant = a_tenant()
    first = asked(tenant, COALESCING, key="a")
    assert asked(tenant, COALESCING, key="a") == first
    assert asked(tenant, COALESCING, key="b") != first
    assert claims.claim(tenant, first) is not None
    second = asked(tenant, COALESCING, key="a")
    assert second != first
    assert asked(tenant, COALESCING, key="a") == second


def test_without_a_key_nothing_is_the_same_work() -> None:
    tenant = a_tenant()
    assert asked(tenant, ONCE) != asked(tenant, ONCE)


def test_work_done_once_is_asked_for_again_only_when_it_was_cancelled() -> None:
    tenant = a_tenant()
    failed, cancelled = asked(tenant, ONCE, key="a"), asked(tenant, ONCE, key="b")
    taken = claims.claim(tenant, failed)
    assert taken is not None
    claims.fail(taken, {}, again=False)
    assert asked(tenant, ONCE, key="a") == failed
    with open_session(tenant) as session:
        cancel_job(session, cancelled)
    assert asked(tenant, ONCE, key="b") != cancelled


def test_the_same_key_of_two_kinds_is_two_jobs() -> None:
    tenant = a_tenant()
    assert asked(tenant, RUN_BACKTEST, key="a") != asked(tenant, IMPORT_BARS, key="a")


@pytest.mark.parametrize("kind", [COALESCING, ONCE])
def test_threads_that_ask_at_once_for_the_same_work_get_one_job(kind: Kind) -> None:
    tenant = a_tenant()
    with ThreadPoolExecutor(4) as pool:
        jobs = set(pool.map(lambda _: asked(tenant, kind, key="a"), range(12)))
    assert len(jobs) == 1


def test_a_job_remembers_its_kinds_limits_its_time_and_who_asked() -> None:
    tenant = a_tenant()
    later = datetime(2100, 1, 1, tzinfo=UTC)
    with bound(request_id="r-1"):
        job_id = asked(tenant, IMPORT_BARS, not_before=later, created_by=tenant)
    with open_session(tenant) as session:
        job = get_job(session, job_id)
    assert (job.queue, job.failures_allowed) == (IMPORT_BARS.queue, IMPORT_BARS.failures_allowed)
    assert (job.not_before, job.request_id, job.created_by) == (later, "r-1", tenant)
    assert claims.claim(tenant, job_id) is None, "it is not yet time"


def test_a_job_that_ends_wakes_the_dispatcher_for_its_queue(wake_ups: PubSub) -> None:
    tenant = a_tenant()
    job = asked(tenant, RUN_BACKTEST)
    heard(wake_ups, "asked")
    perform(lambda _job: None, tenant, job)
    assert heard(wake_ups, "ended") == ["interactive"]


def a_failing(_job: RunningJob) -> None:
    raise InvalidInputError("it stays wrong")


def a_crashing(_job: RunningJob) -> None:
    raise RuntimeError


def a_stopping(_job: RunningJob) -> None:
    give_back_unfinished()


@pytest.mark.parametrize("function", [a_failing, a_crashing, a_stopping])
def test_a_job_that_leaves_its_place_wakes_the_dispatcher_for_its_queue(
    wake_ups: PubSub, function: Callable[[RunningJob], None]
) -> None:
    tenant = a_tenant()
    job = asked(tenant, RUN_BACKTEST)
    heard(wake_ups, "asked")
    perform(function, tenant, job)
    assert heard(wake_ups, "left") == ["interactive"]


def test_a_commit_wakes_the_dispatcher_once_for_each_queue(wake_ups: PubSub) -> None:
    with open_session(a_tenant()) as session:
        for kind in (RUN_BACKTEST, RUN_BACKTEST, IMPORT_BARS):
            submit_job(session, kind=kind, args={})
        assert heard(wake_ups, "not yet") == []
    assert sorted(heard(wake_ups, "committed")) == ["bulk", "interactive"]


def test_a_savepoint_wakes_nobody_and_its_commit_does(wake_ups: PubSub) -> None:
    with open_session(a_tenant()) as session:
        with session.begin_nested():
            submit_job(session, kind=RUN_BACKTEST, args={})
        assert heard(wake_ups, "savepoint") == []
    assert heard(wake_ups, "committed") == ["interactive"]


def test_what_is_rolled_back_wakes_nobody(wake_ups: PubSub) -> None:
    with suppress(ZeroDivisionError), open_session(a_tenant()) as session:
        submit_job(session, kind=RUN_BACKTEST, args={})
        raise ZeroDivisionError
    assert heard(wake_ups, "rolled back") == []
