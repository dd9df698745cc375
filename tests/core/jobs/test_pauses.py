from uuid import UUID, uuid4

import pytest

from core.errors import InvalidInputError, NotFoundError
from core.jobs.dispatch import dispatch
from core.jobs.kinds import IMPORT_BARS, RUN_BACKTEST
from core.jobs.pauses import (
    pause_queue,
    pause_tenant,
    paused_queues,
    paused_tenants,
    resume_queue,
)
from core.jobs.picks import Message
from core.jobs.submit import submit_job
from core.jobs.turns import set_turns
from core.jobs.units import register_units
from core.plans import Queue, plan_of
from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session, open_session
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("quiet_jobs", "units")


@pytest.fixture
def units() -> None:
    register_units(uuid4(), {"interactive": 4, "bulk": 4})


def asked(*tenants: UUID) -> None:
    for tenant in tenants:
        with open_session(tenant) as session:
            submit_job(session, kind=RUN_BACKTEST, args={})
            submit_job(session, kind=IMPORT_BARS, args={})


def handed_out(queue: Queue) -> list[UUID]:
    out: list[Message] = []
    dispatch(queue, out.extend)
    return sorted(message.tenant_id for message in out)


def test_of_a_paused_queue_nothing_is_handed_out_until_it_is_resumed() -> None:
    tenant = a_tenant()
    asked(tenant)
    with open_platform_session() as session:
        pause_queue(session, "bulk")
        pause_queue(session, "bulk")
        assert paused_queues(session) == ["bulk"]
    assert (handed_out("bulk"), handed_out("interactive")) == ([], [tenant])
    with open_platform_session() as session:
        resume_queue(session, "bulk")
    assert handed_out("bulk") == [tenant]


def test_of_a_paused_tenant_nothing_is_handed_out_and_others_go_on() -> None:
    tenant, other = a_tenant(), a_tenant()
    asked(tenant, other)
    with open_platform_session() as session:
        pause_tenant(session, tenant)
        assert paused_tenants(session) == [session.get_one(Tenant, tenant).subdomain]
    assert handed_out("interactive") == handed_out("bulk") == [other]
    with open_platform_session() as session:
        pause_tenant(session, tenant, paused=False)
        assert paused_tenants(session) == []
    assert handed_out("interactive") == handed_out("bulk") == [tenant]


def test_a_pause_outlives_a_change_of_plan_and_status() -> None:
    tenant = a_tenant()
    asked(tenant)
    with open_platform_session() as session:
        pause_tenant(session, tenant)
        set_turns(session, tenant, plan=plan_of("enterprise"), held=False)
    assert handed_out("interactive") == []


def test_whom_and_what_nobody_knows_cannot_be_paused() -> None:
    with open_platform_session() as session:
        with pytest.raises(InvalidInputError, match="interactive, bulk, money, housekeeping"):
            pause_queue(session, "nonsense")
        with pytest.raises(NotFoundError):
            pause_tenant(session, uuid4())
