import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from core.tenancy import provisioning
from core.tenancy.models import TenantSchema
from core.tenancy.provisioning import provision, run_script
from core.tenancy.roles import tenant_role
from core.tenancy.session import open_platform_session, open_session
from tests.laws.isolation.planting import Connection

pytestmark = pytest.mark.usefixtures("database")


def test_a_schema_that_is_asked_for_many_times_at_once_is_made_once() -> None:
    tenant = uuid4()
    start = threading.Barrier(4)

    def ask(_: int) -> str:
        start.wait(10)
        return provision(tenant)

    with ThreadPoolExecutor(4) as pool:
        revisions = set(pool.map(ask, range(4)))
    with open_platform_session() as session:
        assert revisions == {session.get_one(TenantSchema, tenant).revision}
    with open_session(tenant) as session:
        assert session.scalars(text("SELECT name FROM strategies")).all() == []


def test_a_birth_that_fails_leaves_neither_role_nor_schema_behind(
    as_superuser: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = uuid4()
    monkeypatch.setattr(
        provisioning, "run_script", lambda one, script: run_script(one, f"{script}; SELECT 1 / 0")
    )
    with pytest.raises(psycopg.errors.DivisionByZero):
        provision(tenant)
    query = "SELECT count(*) FROM pg_roles, pg_namespace WHERE %s IN (rolname, nspname)"
    assert as_superuser.execute(query, [tenant_role(tenant)]).fetchone() == (0,)
    monkeypatch.undo()
    provision(tenant)
    with open_session(tenant) as session:
        assert session.scalars(text("SELECT name FROM strategies")).all() == []
