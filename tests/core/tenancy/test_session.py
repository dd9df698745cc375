import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Integer, bindparam, func, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from core.errors import UnavailableError
from core.ids import PLATFORM
from core.settings import get_settings
from core.tenancy import session as session_module
from core.tenancy.engine import app_engine
from core.tenancy.models import Tenant
from core.tenancy.roles import PLATFORM_ROLE, tenant_role
from core.tenancy.session import (
    Opening,
    TenantSession,
    open_platform_session,
    open_session,
    opened,
    run_as,
)
from tests.builders import a_tenant
from tests.laws.isolation.planting import Connection, Firms
from tests.peers.tcp_proxy import TcpProxy
from tests.programs import until

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def firms(database: str) -> Firms:
    del database
    return Firms(a_tenant(), a_tenant())


def _asked(session: TenantSession, statement: str) -> object:
    return session.scalar(text(statement))


def test_a_session_is_its_tenants_role_in_its_schema(firms: Firms) -> None:
    role = tenant_role(firms.mine)
    assert _who(firms.mine) == (role, role, [firms.mine])


def test_a_session_that_was_rolled_back_in_its_block_has_no_tenant_any_more(firms: Firms) -> None:
    with open_session(firms.mine) as session:
        session.rollback()
        with pytest.raises(DBAPIError, match="permission denied"):
            session.scalars(select(Tenant.id))


def _backend() -> tuple[int, str, str]:
    """Answer the pooled connection as it is handed out, before any session has set it up."""
    with app_engine().connect() as connection:
        query = "SELECT pg_backend_pid(), current_user, current_setting('search_path')"
        pid, role, path = connection.exec_driver_sql(query).one()
    return pid, role, path


@pytest.fixture
def one_connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A pool that hands out one and the same connection, as long as it lives."""
    app_engine().dispose()
    monkeypatch.setenv("DATABASE_POOL_SIZE", "1")
    get_settings.cache_clear()
    yield
    app_engine().dispose()
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.mark.usefixtures("one_connection")
@pytest.mark.parametrize("way", ["commit", "error", "refused", "rollback", "savepoint"])
def test_a_pool_keeps_no_role_and_no_search_path(way: str, firms: Firms) -> None:
    before = _backend()
    with suppress(ZeroDivisionError, ProgrammingError), open_session(firms.mine) as session:
        assert _asked(session, "SELECT pg_backend_pid()") == before[0]
        if way == "error":
            raise ZeroDivisionError
        if way == "refused":
            _asked(session, "SELECT 1 FROM users")
        if way == "rollback":
            session.rollback()
        if way == "savepoint":
            session.begin_nested()
    assert _backend() == before
    assert before[1:] == ("neozork_app", '"$user", public')


def _killed(session: TenantSession, superuser: Connection) -> None:
    pid = _asked(session, "SELECT pg_backend_pid()")
    superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    _asked(session, "SELECT 1")


@pytest.mark.usefixtures("one_connection")
def test_a_killed_backend_leaves_its_tenant_behind(firms: Firms, as_superuser: Connection) -> None:
    before, _, _ = _backend()
    with pytest.raises(UnavailableError), open_session(firms.mine) as session:
        _killed(session, as_superuser)
    with open_session(firms.theirs) as session:
        assert _asked(session, "SELECT current_user") == tenant_role(firms.theirs)
    now, role, _ = _backend()
    assert now != before
    assert role == "neozork_app"


@pytest.mark.usefixtures("one_connection")
def test_a_connection_that_died_in_the_pool_is_replaced_unseen(
    firms: Firms, as_superuser: Connection
) -> None:
    before, _, _ = _backend()
    as_superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
    assert _who(firms.mine)[2] == [firms.mine]
    assert _backend()[0] != before


@pytest.mark.usefixtures("one_connection")
def test_one_statement_is_its_owners_and_survives_a_dead_connection(
    firms: Firms, as_superuser: Connection
) -> None:
    before, _, _ = _backend()
    as_superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
    who = select(func.current_user().label("who"), bindparam("n", type_=Integer).label("n"))
    for owner, role in ((firms.mine, tenant_role(firms.mine)), (PLATFORM, PLATFORM_ROLE)):
        (row,) = run_as(owner, who, {"n": 7})
        assert (row.who, row.n) == (role, 7)
        assert _backend()[1:] == ("neozork_app", '"$user", public')
    assert _backend()[0] != before


@pytest.mark.usefixtures("one_connection")
def test_a_statement_that_fails_leaves_the_connection_as_it_was(firms: Firms) -> None:
    before = _backend()
    with pytest.raises(psycopg.errors.UndefinedObject):
        run_as(firms.mine, select(func.current_setting("no.such")), {})
    assert _backend() == before


@pytest.mark.usefixtures("one_connection")
def test_a_session_opens_with_a_statement_in_its_transaction(
    firms: Firms, as_superuser: Connection
) -> None:
    before, _, _ = _backend()
    as_superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
    opening = Opening(select(func.pg_current_xact_id().label("number")), {})
    with open_session(firms.mine, opening) as session:
        assert opened(session)[0].number == session.scalar(select(func.pg_current_xact_id()))


@pytest.mark.usefixtures("one_connection")
def test_a_table_left_in_a_pooled_connection_hides_no_tenants_table(firms: Firms) -> None:
    with open_session(firms.mine) as session:
        session.execute(text("CREATE TEMP TABLE strategies (id uuid, name text)"))
        session.execute(text("GRANT ALL ON strategies TO PUBLIC"))
        pid = _asked(session, "SELECT pg_backend_pid()")
    with open_session(firms.theirs) as session:
        assert _asked(session, "SELECT pg_backend_pid()") == pid
        schema = _asked(
            session,
            "SELECT relnamespace::regnamespace::text FROM pg_class"
            " WHERE oid = 'strategies'::regclass",
        )
    assert schema == tenant_role(firms.theirs)


def _who(tenant: UUID) -> tuple[str, str, list[UUID]]:
    with open_session(tenant) as session:
        row = session.execute(select(func.current_user(), func.current_schema())).one()
        return row[0], row[1], list(session.scalars(select(Tenant.id)))


@pytest.mark.usefixtures("one_connection")
def test_two_tenants_in_turn_on_one_connection_never_mix(firms: Firms) -> None:
    pids = set()
    for turn in range(40):
        tenant = (firms.mine, firms.theirs)[turn % 2]
        role = tenant_role(tenant)
        assert _who(tenant) == (role, role, [tenant])
        pids.add(_backend()[0])
    assert len(pids) == 1


@pytest.mark.usefixtures("one_connection")
def test_threads_of_two_tenants_on_one_pool_never_mix(firms: Firms) -> None:
    start = threading.Barrier(6)

    def asks(number: int) -> bool:
        tenant = (firms.mine, firms.theirs)[number % 2]
        role = tenant_role(tenant)
        start.wait(10)
        return all(_who(tenant) == (role, role, [tenant]) for _ in range(30))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(asks, range(6)))


@pytest.mark.parametrize("behind", ["SET ROLE {other}", "RESET ROLE", "COMMIT", "SELECT 2"])
@pytest.mark.parametrize("options", [{}, {"stream_results": True}, {"no_parameters": True}])
def test_no_statement_can_be_stacked(options: dict[str, Any], behind: str, firms: Firms) -> None:
    stacked = f"SELECT 1; {behind.format(other=firms.roles[1])}"
    with (
        pytest.raises(ProgrammingError, match="multiple commands"),
        open_session(firms.mine) as session,
    ):
        session.execute(text(stacked), execution_options=options)


@pytest.mark.parametrize("role", ["{other}", PLATFORM_ROLE, "neozork_app", "none"])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT set_config('role', '{role}', true)",
        "UPDATE pg_settings SET setting = '{role}' WHERE name = 'role'",
        "SELECT query_to_xml('SET LOCAL ROLE {role}', true, true, '')",
        "SELECT query_to_xml($$SELECT set_config('role', '{role}', true)$$, true, true, '')",
        "SELECT * FROM ts_stat('SET LOCAL ROLE {role}')",
        "SELECT * FROM ts_stat($$SELECT to_tsvector(set_config('role', '{role}', true))$$)",
        "SELECT ts_rewrite('a'::tsquery, 'SET LOCAL ROLE {role}')",
        "CREATE FUNCTION {own}.become() RETURNS int LANGUAGE sql SET role = '{role}' AS 'SELECT 1'",
        "ALTER ROLE neozork_app SET role = '{role}'",
    ],
)
def test_no_expression_of_a_statement_can_change_the_role(
    statement: str, role: str, firms: Firms
) -> None:
    own, other = firms.roles
    said = statement.format(role=role.format(other=other), own=own)
    with (
        pytest.raises(DBAPIError, match=r"permission denied|not allowed|cannot open SET"),
        open_session(firms.mine) as session,
    ):
        session.execute(text(said))


def test_only_a_statement_of_its_own_changes_the_role_and_then_for_one_transaction(
    firms: Firms,
) -> None:
    # Postgres asks the login, which holds every tenant's role: user text must not be a statement.
    with open_session(firms.mine) as session:
        session.execute(text(f"SET LOCAL ROLE {firms.roles[1]}"))
        assert session.scalars(select(Tenant.id)).all() == [firms.theirs]
    with open_session(firms.mine) as session:
        assert session.scalars(select(Tenant.id)).all() == [firms.mine]
        session.execute(text("RESET ROLE"))
        with pytest.raises(DBAPIError, match="permission denied"):
            session.scalars(select(Tenant.id)).all()


def test_each_step_of_a_session_is_one_trip_and_so_is_a_statement_that_is_run_as_somebody(
    postgres_proxy: TcpProxy,
) -> None:
    one = select(func.now())
    run_as(PLATFORM, one, {})  # it connects
    before = postgres_proxy.trips
    run_as(PLATFORM, one, {})
    assert postgres_proxy.trips == before + 1
    with open_platform_session(Opening(one, {})) as session:
        assert postgres_proxy.trips == before + 2
        session.scalar(one)
        assert postgres_proxy.trips == before + 3
    assert postgres_proxy.trips == before + 4


def test_what_waits_beside_a_dead_connection_may_be_as_dead_and_is_not_tried(
    as_superuser: Connection,
) -> None:
    before = _two_backends()
    as_superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [before[0]])
    run_as(PLATFORM, select(func.now()), {})
    assert not {*_two_backends()} & {*before}


def _two_backends() -> list[int]:
    pid = select(func.pg_backend_pid())
    with open_platform_session() as first, open_platform_session() as second:
        return [session.scalars(pid).one() for session in (first, second)]


def test_a_transaction_that_stands_still_is_ended_and_the_next_one_works(
    as_superuser: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "IDLE_IN_TRANSACTION_MS", 50)
    alive = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"

    def stand_still() -> None:
        with open_platform_session() as session:
            pid = session.scalar(select(func.pg_backend_pid()))
            until(lambda: not as_superuser.execute(alive, [pid]).fetchall(), "the server's end")
            session.scalar(select(1))

    with pytest.raises(UnavailableError):
        stand_still()
    with open_platform_session() as session:
        assert session.scalar(select(1)) == 1
