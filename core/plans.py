"""Tiers, limits and prices: pure data, the one place where they stand."""

from dataclasses import dataclass
from typing import Literal

UNLIMITED = -1

Tier = Literal["starter", "professional", "enterprise", "custom"]
Queue = Literal["interactive", "bulk", "money", "housekeeping"]

TRIAL_DAYS = 14
TRIAL_TIER: Tier = "starter"
YEARLY_MONTHS_CHARGED = 10
CURRENCY = "usd"


@dataclass(frozen=True, slots=True)
class Plan:
    """One tier. Counts may be UNLIMITED; `amount` is US cents a month, None: by contract.

    `api_calls` and `data_requests` are per month, `requests` per hour, `storage_gb` in 10⁹
    bytes, `upload_mb` in 10⁶ bytes, `interactive_jobs` and `bulk_jobs` in flight at once.
    """

    tier: Tier
    amount: int | None
    trading_strategies: int
    data_sources: int
    api_calls: int
    data_requests: int
    users: int
    storage_gb: int
    requests: int
    interactive_jobs: int
    bulk_jobs: int
    sweep_cells: int
    upload_mb: int
    support: str

    def jobs_in_flight(self, queue: Queue) -> int:
        """Answer how many jobs of a queue may be in flight; the rest waits, never refused."""
        if queue == "interactive":
            return self.interactive_jobs
        if queue == "bulk":
            return self.bulk_jobs
        return UNLIMITED


PLANS: dict[Tier, Plan] = {
    plan.tier: plan
    for plan in (
        Plan(
            tier="starter",
            amount=4_900,
            trading_strategies=5,
            data_sources=3,
            api_calls=10_000,
            data_requests=1_000,
            users=1,
            storage_gb=1,
            requests=1_000,
            interactive_jobs=2,
            bulk_jobs=1,
            sweep_cells=1_000,
            upload_mb=50,
            support="email",
        ),
        Plan(
            tier="professional",
            amount=14_900,
            trading_strategies=25,
            data_sources=10,
            api_calls=100_000,
            data_requests=10_000,
            users=5,
            storage_gb=10,
            requests=10_000,
            interactive_jobs=8,
            bulk_jobs=4,
            sweep_cells=10_000,
            upload_mb=200,
            support="email + chat",
        ),
        Plan(
            tier="enterprise",
            amount=49_900,
            trading_strategies=UNLIMITED,
            data_sources=UNLIMITED,
            api_calls=1_000_000,
            data_requests=100_000,
            users=50,
            storage_gb=100,
            requests=100_000,
            interactive_jobs=32,
            bulk_jobs=16,
            sweep_cells=100_000,
            upload_mb=1_000,
            support="priority",
        ),
        # An operator sets a contract's own numbers; until then these of enterprise hold.
        Plan(
            tier="custom",
            amount=None,
            trading_strategies=UNLIMITED,
            data_sources=UNLIMITED,
            api_calls=UNLIMITED,
            data_requests=UNLIMITED,
            users=UNLIMITED,
            storage_gb=UNLIMITED,
            requests=100_000,
            interactive_jobs=32,
            bulk_jobs=16,
            sweep_cells=100_000,
            upload_mb=1_000,
            support="dedicated",
        ),
    )
}


def plan_of(tier: str) -> Plan:
    """Answer the plan of a tier; an unknown name raises KeyError, for the table holds them all."""
    return next(plan for plan in PLANS.values() if plan.tier == tier)
