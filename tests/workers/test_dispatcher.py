import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest

from core.jobs import claims
from core.jobs.kinds import IMPORT_BARS, RUN_BACKTEST, Kind
from core.jobs.picks import Message
from core.jobs.submit import submit_job
from core.jobs.units import register_units
from core.tenancy.session import open_session
from core.valkey import get_valkey
from tests.builders import a_tenant
from tests.programs import program, until
from workers.dispatcher import Dispatcher

pytestmark = pytest.mark.usefixtures("quiet_jobs")


def asked(tenant: UUID, kind: Kind) -> UUID:
    with open_session(tenant) as session:
        return submit_job(session, kind=kind, args={})


@contextmanager
def running(dispatcher: Dispatcher) -> Iterator[None]:
    thread = threading.Thread(target=dispatcher.run)
    thread.start()
    try:
        yield
    finally:
        dispatcher.stop.set()
        thread.join()


def test_a_queue_that_is_never_empty_keeps_no_other_waiting() -> None:
    register_units(uuid4(), {"interactive": 1, "bulk": 1})
    tenant = a_tenant()
    seen: list[str] = []

    def do_at_once(messages: Sequence[Message]) -> None:
        for message in messages:
            seen.append(message.queue)
            if message.queue == "interactive" and not dispatcher.stop.is_set():
                taken = claims.claim(tenant, message.job_id)
                assert taken is not None
                with claims.finishing(taken):
                    pass
                asked(tenant, RUN_BACKTEST)

    dispatcher = Dispatcher(do_at_once)
    asked(tenant, RUN_BACKTEST)
    asked(tenant, IMPORT_BARS)
    with running(dispatcher):
        until(lambda: "bulk" in seen, "the other queue's job")


def test_a_flush_is_noticed_and_what_was_dispatched_published_again() -> None:
    register_units(uuid4(), {"interactive": 1})
    published: list[Message] = []
    dispatcher = Dispatcher(published.extend)
    asked(a_tenant(), RUN_BACKTEST)
    with running(dispatcher):
        until(lambda: dispatcher._epoch is not None, "the dispatcher to know the epoch")
        until(lambda: published, "the first message")
        get_valkey().flushdb()
        until(lambda: len(published) > 1, "the second message")
    assert len(set(published)) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_dispatcher_told_to_stop_ends_with_0(number: signal.Signals) -> None:
    with program("workers.dispatcher", says="dispatcher_ready") as process:
        process.send_signal(number)
        assert process.wait() == 0
