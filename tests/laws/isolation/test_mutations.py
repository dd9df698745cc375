import pytest

from tests.builders import a_tenant
from tests.laws.isolation.mutations import MUTATIONS
from tests.laws.isolation.planting import Connection, Firms, plant
from tests.laws.isolation.probe import violations

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def firms(database: str) -> Firms:
    del database
    return Firms(a_tenant(), a_tenant())


def test_the_database_breaks_no_law(as_superuser: Connection, firms: Firms) -> None:
    with as_superuser.transaction(force_rollback=True):
        plant(as_superuser, firms)
        assert list(violations(as_superuser, firms)) == []


@pytest.mark.parametrize("kind", MUTATIONS)
def test_no_rule_can_be_loosened_unseen(as_superuser: Connection, firms: Firms, kind: str) -> None:
    mine, theirs = firms.roles
    query = MUTATIONS[kind]
    loosenings = [row[0] for row in as_superuser.execute(query, {"mine": mine, "theirs": theirs})]
    with as_superuser.transaction(force_rollback=True):
        plant(as_superuser, firms)
        survivors = [each for each in loosenings if not _seen(as_superuser, firms, each)]
    assert loosenings
    assert survivors == []


def _seen(connection: Connection, firms: Firms, loosening: str) -> bool:
    with connection.transaction(force_rollback=True):
        connection.execute(loosening)
        return next(violations(connection, firms), None) is not None
