import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from core.errors import QuotaExceededError
from core.plans import plan_of
from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session, open_session
from core.trading.models import Strategy
from core.trading.requests.strategies import create_strategy, delete_strategy
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("database")

THREADS = 50
DOCUMENT = {
    "spec": "strategy/1",
    "name": "high",
    "timeframe": "1d",
    "long": {"entry": "close > open", "exit": "close < open"},
}


def _make(tenant: UUID) -> UUID | None:
    """Make a strategy and answer its id, None at the quota."""
    try:
        with open_session(tenant) as session:
            made = create_strategy(session, name="one", document=DOCUMENT, created_by=uuid4())
    except QuotaExceededError:
        return None
    return UUID(made["id"])


def _count(tenant: UUID) -> int | None:
    with open_session(tenant) as session:
        return session.scalar(
            select(func.count()).select_from(Strategy).where(Strategy.deleted_at.is_(None))
        )


@pytest.mark.parametrize("tier", ["starter", "professional"])
def test_fifty_threads_at_a_quota_of_q_make_exactly_q(tier: str) -> None:
    tenant, other = a_tenant(tier=tier), a_tenant(tier=tier)
    quota = plan_of(tier).trading_strategies
    start = threading.Barrier(THREADS)

    def make(_: int) -> UUID | None:
        start.wait(30)
        return _make(tenant)

    with ThreadPoolExecutor(THREADS) as pool:
        made = [strategy for strategy in pool.map(make, range(THREADS)) if strategy]
    assert len(made) == _count(tenant) == quota
    assert _make(other) is not None


def test_a_deleted_strategy_makes_room_for_one_more() -> None:
    tenant = a_tenant(tier="starter")
    made = [_make(tenant) for _ in range(plan_of("starter").trading_strategies)]
    assert _make(tenant) is None
    with open_session(tenant) as session:
        delete_strategy(session, made[0])
    assert _make(tenant) is not None
    assert _make(tenant) is None


def test_a_strategy_that_is_rolled_back_takes_no_place() -> None:
    tenant = a_tenant(tier="starter")
    with open_session(tenant) as session:
        create_strategy(session, name="one", document=DOCUMENT, created_by=uuid4())
        session.rollback()
    made = [_make(tenant) for _ in range(plan_of("starter").trading_strategies)]
    assert None not in made


def test_at_the_quota_the_answer_names_limit_and_use_and_a_larger_plan_makes_room() -> None:
    tenant = a_tenant(tier="starter")
    quota = plan_of("starter").trading_strategies
    for _ in range(quota):
        _make(tenant)
    with pytest.raises(QuotaExceededError) as raised, open_session(tenant) as session:
        create_strategy(session, name="one", document=DOCUMENT, created_by=uuid4())
    problem = raised.value.problem()
    assert (problem["metric"], problem["limit"], problem["used"]) == (
        "trading_strategies",
        quota,
        quota,
    )
    with open_platform_session() as session:
        session.execute(
            update(Tenant).where(Tenant.id == tenant).values(subscription_tier="enterprise")
        )
    assert _make(tenant) is not None
