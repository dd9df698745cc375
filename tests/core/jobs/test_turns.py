from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import select

from core.ids import PLATFORM
from core.jobs.kinds import QUEUES
from core.jobs.models import Job, Turn
from core.jobs.turns import enqueue_reconciliation, set_turns
from core.plans import plan_of
from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session
from tests.builders import a_tenant, do_jobs
from tests.laws.isolation.planting import Connection
from tests.programs import until

pytestmark = pytest.mark.usefixtures("database")


def turns_of(tenant: UUID) -> dict[str, tuple[int | None, bool]]:
    with open_platform_session() as session:
        turns = session.scalars(select(Turn).where(Turn.tenant_id == tenant))
        return {turn.queue: (turn.cap, turn.held) for turn in turns}


def test_a_tenant_has_a_turn_in_every_queue_with_its_plans_caps() -> None:
    plan = plan_of("starter")
    turns = turns_of(a_tenant(tier="starter"))
    assert set(turns) == set(QUEUES)
    assert turns["interactive"] == (plan.interactive_jobs, False)
    assert turns["bulk"] == (plan.bulk_jobs, False)
    assert turns["money"] == turns["housekeeping"] == (None, False)


def test_a_changed_plan_changes_the_caps_and_a_held_tenant_is_held() -> None:
    tenant = a_tenant(tier="starter")
    with open_platform_session() as session:
        set_turns(session, tenant, plan=plan_of("enterprise"), held=True)
    assert turns_of(tenant)["bulk"] == (plan_of("enterprise").bulk_jobs, True)
    with open_platform_session() as session:
        set_turns(session, tenant, plan=None)
    assert set(turns_of(tenant).values()) == {(None, False)}


def reconcile() -> None:
    """Mend all turns, by the job that comes round."""
    assert enqueue_reconciliation() == 1
    do_jobs(PLATFORM)
    with open_platform_session() as session:
        assert session.scalars(select(Job.status)).all() == ["succeeded"]


@pytest.mark.usefixtures("quiet_jobs")
@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM neozork.turns",
        "DELETE FROM neozork.turns WHERE queue = 'bulk'",
        "UPDATE neozork.turns SET cap = 77",
        "UPDATE neozork.turns SET cap = NULL",
        "UPDATE neozork.turns SET held = NOT held",
        "SELECT 1",
    ],
)
def test_turns_that_are_missing_or_wrong_are_mended(as_superuser: Connection, harm: str) -> None:
    active, suspended = a_tenant(tier="starter"), a_tenant(tier="custom")
    as_superuser.execute(
        "UPDATE neozork.tenants SET status = 'suspended' WHERE id = %s", [suspended]
    )
    with open_platform_session() as session:
        set_turns(session, suspended, plan=plan_of("custom"), held=True)
    right = {tenant: turns_of(tenant) for tenant in (active, suspended, PLATFORM)}
    assert {held for _, held in right[suspended].values()} == {True}
    as_superuser.execute(harm)
    reconcile()
    assert {tenant: turns_of(tenant) for tenant in right} == right


@pytest.mark.usefixtures("quiet_jobs")
def test_turns_that_are_right_keep_their_place_in_the_round(as_superuser: Connection) -> None:
    tenant, other = a_tenant(), a_tenant()
    as_superuser.execute("DELETE FROM neozork.turns WHERE tenant_id = %s", [other])
    look = "SELECT xmin, last_pick FROM neozork.turns WHERE tenant_id = %s ORDER BY queue"
    before = as_superuser.execute(look, [tenant]).fetchall()
    reconcile()
    assert as_superuser.execute(look, [tenant]).fetchall() == before


@pytest.mark.usefixtures("quiet_jobs")
def test_a_tier_that_changes_meanwhile_is_not_undone(as_superuser: Connection) -> None:
    tenant = a_tenant(tier="starter")
    as_superuser.execute("UPDATE neozork.turns SET cap = 77")
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
    with ThreadPoolExecutor(1) as beside:
        with open_platform_session() as session:
            session.get_one(Tenant, tenant).subscription_tier = "enterprise"
            session.flush()
            set_turns(session, tenant, plan=plan_of("enterprise"))
            mended = beside.submit(reconcile)
            until(
                lambda: as_superuser.execute(f"{waiting} AND wait_event_type = 'Lock'").fetchall(),
                "the job to meet the change",
            )
        mended.result()
    assert turns_of(tenant)["bulk"] == (plan_of("enterprise").bulk_jobs, False)
