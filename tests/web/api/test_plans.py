import pytest

from core.plans import PLANS
from tests.builders import a_client

pytestmark = pytest.mark.usefixtures("database")


def test_plans_are_for_everybody_and_as_the_table_says() -> None:
    answer = a_client().get("/api/v1/plans")
    assert answer.status_code == 200
    assert (answer.json["currency"], answer.json["trial_days"]) == ("usd", 14)
    assert {plan["tier"]: plan["amount"] for plan in answer.json["plans"]} == {
        tier: plan.amount for tier, plan in PLANS.items()
    }
