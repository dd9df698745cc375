from core.plans import PLANS, UNLIMITED, plan_of


def test_the_published_prices_and_limits_hold() -> None:
    rows = {
        tier: (
            plan.amount,
            plan.trading_strategies,
            plan.data_sources,
            plan.api_calls,
            plan.users,
            plan.storage_gb,
            plan.requests,
            plan.interactive_jobs,
            plan.bulk_jobs,
            plan.upload_mb,
        )
        for tier, plan in PLANS.items()
        if tier != "custom"
    }
    assert rows == {
        "starter": (4_900, 5, 3, 10_000, 1, 1, 1_000, 2, 1, 50),
        "professional": (14_900, 25, 10, 100_000, 5, 10, 10_000, 8, 4, 200),
        "enterprise": (
            49_900,
            UNLIMITED,
            UNLIMITED,
            1_000_000,
            50,
            100,
            100_000,
            32,
            16,
            1_000,
        ),
    }
    assert plan_of("custom").amount is None


def test_money_and_housekeeping_are_never_capped() -> None:
    for plan in PLANS.values():
        assert plan.jobs_in_flight("money") == plan.jobs_in_flight("housekeeping") == UNLIMITED
