import threading
from uuid import UUID, uuid4

import pytest

from core.jobs import claims
from core.jobs.kinds import RUN_BACKTEST
from core.jobs.submit import submit_job
from core.jobs.waiting import wait_for_job
from core.tenancy.session import open_session
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("quiet_jobs")


def a_job(tenant: UUID) -> UUID:
    with open_session(tenant) as session:
        return submit_job(session, kind=RUN_BACKTEST, args={})


def test_whoever_waits_is_told_when_the_job_ends() -> None:
    tenant = a_tenant()
    taken = claims.claim(tenant, a_job(tenant))
    assert taken is not None

    def finish() -> None:
        with claims.finishing(taken):
            pass

    ending = threading.Timer(0.2, finish)
    ending.start()
    assert wait_for_job(tenant, taken.id, within_s=30) == "succeeded"
    ending.join()


def test_whoever_waits_long_enough_is_told_how_it_stands() -> None:
    tenant = a_tenant()
    assert wait_for_job(tenant, a_job(tenant), within_s=0) == "queued"


def test_a_job_that_is_gone_is_not_waited_for() -> None:
    assert wait_for_job(a_tenant(), uuid4(), within_s=30) == "cancelled"
