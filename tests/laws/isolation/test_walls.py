from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.errors import UnavailableError
from core.jobs.claims import claim
from core.jobs.control import get_job
from core.jobs.dispatch import reap
from core.jobs.kinds import RUN_BACKTEST
from core.jobs.running import RunningJob, perform
from core.jobs.submit import submit_job
from core.settings import get_settings
from core.tenancy.roles import app_database_url, tenant_role
from core.tenancy.session import TenantSession, open_platform_session, open_session
from tests.builders import a_tenant
from tests.laws.isolation.planting import MODELS, Connection, Firms, insertion

pytestmark = pytest.mark.usefixtures("database")

SHARED = sorted(name for name, model in MODELS.items() if model.access.tenant_column)
OUT_OF_REACH = sorted(name for name, model in MODELS.items() if not model.access.tenant)


@pytest.fixture(scope="module")
def firms(database: str) -> Firms:
    del database
    return Firms(a_tenant(), a_tenant())


def _asked(session: TenantSession, statement: str) -> object:
    return session.scalar(text(statement))


@contextmanager
def _denied() -> Iterator[None]:
    with pytest.raises(DBAPIError, match=r"permission denied|row-level security"):
        yield


@pytest.mark.parametrize("table", [name for name in SHARED if MODELS[name].access.tenant])
def test_a_tenant_reads_its_own_rows_of_each_shared_table_alone(table: str, firms: Firms) -> None:
    column = MODELS[table].access.tenant_column
    with open_session(firms.mine) as session:
        others = _asked(session, f"SELECT count(*) FROM {table} WHERE {column} <> '{firms.mine}'")
    assert others == 0


@pytest.mark.parametrize("table", [n for n in SHARED if "INSERT" in MODELS[n].access.tenant])
def test_a_tenant_writes_its_own_rows_of_each_shared_table_alone(
    table: str, firms: Firms, as_superuser: Connection
) -> None:
    model = MODELS[table]
    column = model.access.tenant_column
    rows = {
        tenant: insertion(as_superuser, model.__table__, column, tenant)
        for tenant in (firms.mine, firms.theirs)
    }
    with open_session(firms.theirs) as session:
        session.execute(text(rows[firms.theirs]))
    with open_session(firms.mine) as session:
        session.execute(text(rows[firms.mine]))
        assert _asked(session, f"SELECT count(*) FROM {table}") == 1
        if "UPDATE" in model.access.tenant:
            changed = session.execute(text(f"UPDATE {table} SET {column} = {column}"))
            assert changed.rowcount == 1
    with _denied(), open_session(firms.mine) as session:
        session.execute(text(rows[firms.theirs]))


@pytest.mark.parametrize("table", OUT_OF_REACH)
def test_a_tenant_reaches_no_people_credentials_or_machinery(table: str, firms: Firms) -> None:
    with _denied(), open_session(firms.mine) as session:
        _asked(session, f"SELECT count(*) FROM neozork.{table}")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM {other}.strategies",
        "INSERT INTO {other}.strategies (name) VALUES ('mine')",
        "UPDATE {other}.strategies SET name = 'mine'",
        "CREATE TABLE {other}.mine (id int)",
        "CREATE TABLE {own}.mine (id int)",
        "DROP TABLE {own}.strategies",
        "SELECT schema_to_xml('{other}', true, true, '')",
    ],
)
def test_a_tenant_cannot_enter_anothers_schema_nor_rebuild_its_own(
    statement: str, firms: Firms
) -> None:
    own, other = firms.roles
    with (
        pytest.raises(DBAPIError, match=r"permission denied|must be owner"),
        open_session(firms.mine) as session,
    ):
        session.execute(text(statement.format(own=own, other=other)))


def test_the_platform_cannot_enter_a_tenants_schema(firms: Firms) -> None:
    with _denied(), open_platform_session() as session:
        session.execute(text(f"SELECT count(*) FROM {firms.roles[0]}.strategies"))


@pytest.mark.parametrize("way", ["fails", "its worker dies"])
def test_a_job_that_is_tried_again_keeps_its_tenant(
    way: str, firms: Firms, as_superuser: Connection
) -> None:
    with open_session(firms.mine) as session:
        job_id = submit_job(session, kind=RUN_BACKTEST, args={})
    attempts: list[int] = []

    def work(job: RunningJob) -> None:
        attempts.append(job.claim.attempt)
        if len(attempts) == 1 and way == "fails":
            raise UnavailableError("once")
        with job.finishing() as session:
            assert _asked(session, "SELECT current_user") == tenant_role(firms.mine)

    if way == "fails":
        perform(work, firms.mine, job_id)
    else:
        attempts.append(claim(firms.mine, job_id).attempt)
        as_superuser.execute(
            "UPDATE neozork.jobs SET lease_until = '-infinity' WHERE id = %s", [job_id]
        )
        reap()
    as_superuser.execute("UPDATE neozork.jobs SET not_before = now() WHERE id = %s", [job_id])
    perform(work, firms.theirs, job_id)
    assert attempts == [1]
    perform(work, firms.mine, job_id)
    with open_session(firms.mine) as session:
        job = get_job(session, job_id)
    assert (attempts, job.status, job.tenant_id) == ([1, 2], "succeeded", firms.mine)


def test_without_a_tenant_there_are_no_rows(firms: Firms) -> None:
    schemas = ["neozork", *firms.roles]
    with psycopg.connect(app_database_url(get_settings()), autocommit=True) as login:
        query = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s)"
        tables = login.execute(query, [schemas]).fetchall()
        assert len(tables) > len(SHARED)
        for schema, table in tables:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                login.execute(f"SELECT count(*) FROM {schema}.{table}")
