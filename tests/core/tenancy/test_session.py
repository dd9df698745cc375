import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from core.jobs.kinds import RUN_BACKTEST
from core.jobs.models import Job
from core.jobs.submit import submit_job
from core.tenancy.models import Tenant
from core.tenancy.roles import tenant_role
from core.tenancy.session import open_platform_session, open_session
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("database")


def test_a_session_is_its_tenants_role_in_its_schema() -> None:
    tenant = a_tenant()
    with open_session(tenant) as session:
        role, path = session.execute(select(func.current_user(), func.current_schema())).one()
    assert role == path == tenant_role(tenant)


def test_a_tenant_sees_its_own_rows_alone() -> None:
    mine, theirs = a_tenant(), a_tenant()
    with open_session(theirs) as session:
        submit_job(session, kind=RUN_BACKTEST, args={})
    with open_session(mine) as session:
        assert session.scalars(select(Tenant.id)).all() == [mine]
        assert session.scalars(select(Job.id)).all() == []
    with open_platform_session() as session:
        assert session.scalar(select(func.count()).where(Job.tenant_id == theirs)) == 1


def test_a_second_statement_behind_the_first_is_refused() -> None:
    with (
        pytest.raises(ProgrammingError, match="multiple commands"),
        open_session(a_tenant()) as session,
    ):
        session.execute(text("select 1; set role neozork_platform"))


def test_set_config_cannot_change_the_role() -> None:
    with (
        pytest.raises(DBAPIError, match="permission denied for function set_config"),
        open_session(a_tenant()) as session,
    ):
        session.execute(text("select set_config('role', 'neozork_platform', true)"))
