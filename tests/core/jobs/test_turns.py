from uuid import UUID

import pytest
from sqlalchemy import select

from core.jobs.kinds import QUEUES
from core.jobs.models import Turn
from core.jobs.turns import set_turns
from core.plans import plan_of
from core.tenancy.session import open_platform_session
from tests.builders import a_tenant

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
