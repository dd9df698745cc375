"""The two sessions, and the only places that commit.

A function that touches a tenant's data takes a `TenantSession`; one that must see across
tenants takes a `PlatformSession`. Both become their role for one transaction, so that neither
a pool nor PgBouncer can carry it to the next.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import ClauseElement, Connection, exc
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler

from core.errors import UnavailableError
from core.ids import PLATFORM
from core.tenancy.engine import app_engine
from core.tenancy.models import SHARED_SCHEMA
from core.tenancy.roles import PLATFORM_ROLE, tenant_role

# A process that stands still inside a transaction keeps its rows locked; nobody else could take
# its job, and a dead machine's connection lives for hours. None of ours idles so long, and a job's
# lease ends as soon.
IDLE_IN_TRANSACTION_MS = 10_000
_OPENED = "opened"


class TenantSession(Session):
    """A transaction as one tenant's role, in its schema; it sees nothing of any other."""

    tenant_id: UUID


class PlatformSession(Session):
    """A transaction that sees across tenants and people, and no tenant's own schema."""


class Opening(NamedTuple):
    """A statement that a transaction opens with, and its values as psycopg adapts them."""

    statement: ClauseElement
    values: Mapping[str, Any]


@contextmanager
def open_session(tenant_id: UUID, opening: Opening | None = None) -> Iterator[TenantSession]:
    """Open a transaction as a tenant; it commits at the end of the block, unless one raises.

    An `opening` is in the round trip that opens it. Raises UnavailableError where the database
    does not answer.
    """
    session = TenantSession(app_engine(), expire_on_commit=False)
    session.tenant_id = tenant_id
    role = tenant_role(tenant_id)
    with _transaction(session, role, f"{role}, {SHARED_SCHEMA}", opening):
        yield session


@contextmanager
def open_platform_session(opening: Opening | None = None) -> Iterator[PlatformSession]:
    """Open a transaction across tenants; it commits at the end of the block.

    An `opening` is in the round trip that opens it. Raises UnavailableError where the database
    does not answer.
    """
    session = PlatformSession(app_engine(), expire_on_commit=False)
    with _transaction(session, PLATFORM_ROLE, SHARED_SCHEMA, opening):
        yield session


@contextmanager
def open_session_of(
    tenant_id: UUID, opening: Opening | None = None
) -> Iterator[TenantSession | PlatformSession]:
    """Open the session of a job's owner: a tenant's, or the platform's own."""
    if tenant_id == PLATFORM:
        with open_platform_session(opening) as platform:
            yield platform
    else:
        with open_session(tenant_id, opening) as session:
            yield session


def opened(session: Session) -> list[Any]:
    """Answer the named rows of the statement that a session was opened with."""
    rows: list[Any] = session.info[_OPENED]
    return rows


def run_as(tenant_id: UUID, statement: ClauseElement, values: Mapping[str, Any]) -> list[Any]:
    """Run one statement as a job's owner, a transaction of its own in one round trip.

    Answers named rows. A statement whose connection dies may run twice, and must bear it. Its
    values are what psycopg adapts by itself. Raises UnavailableError as a session does.
    """
    platform = tenant_id == PLATFORM
    role = PLATFORM_ROLE if platform else tenant_role(tenant_id)
    search_path = SHARED_SCHEMA if platform else f"{role}, {SHARED_SCHEMA}"
    opening = Opening(statement, values)
    with _absence_told():
        try:
            return _one_trip(role, search_path, opening)
        except OperationalError as error:
            if not error.connection_invalidated:
                raise
            return _one_trip(role, search_path, opening)


def _one_trip(role: str, search_path: str, opening: Opening) -> list[Any]:
    with app_engine().connect() as connection:
        raw = _psycopg(connection)
        with _loss_told(connection, raw), raw.pipeline():
            _send_become(raw, role, search_path)
            cursor = _send(raw, opening)
            raw.execute(b"COMMIT")
        return cursor.fetchall()


def _send(raw: "psycopg.Connection[Any]", opening: Opening) -> "psycopg.Cursor[Any]":
    compiled = _compiled(opening.statement)
    cursor = raw.cursor(row_factory=namedtuple_row)
    return cursor.execute(compiled.string.encode(), compiled.construct_params(opening.values))


@lru_cache(maxsize=32)
def _compiled(statement: ClauseElement) -> SQLCompiler:
    compiled = statement.compile(dialect=app_engine().dialect)
    if not isinstance(compiled, SQLCompiler):
        raise TypeError("only statements of rows can be run")
    return compiled


@contextmanager
def _transaction(
    session: Session, role: str, search_path: str, opening: Opening | None
) -> Iterator[None]:
    with _absence_told(), session:
        _become(session, role, search_path, opening)
        yield
        session.commit()


@contextmanager
def _absence_told() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, exc.TimeoutError) as error:
        # An internal error that leaves the connection alive is no absence but a fault of ours.
        if isinstance(error, InternalError) and not error.connection_invalidated:
            raise
        raise UnavailableError(
            "The database does not answer. Nothing was lost; try again in a moment."
        ) from error


def _become(session: Session, role: str, search_path: str, opening: Opening | None) -> None:
    """Begin the transaction with its role and search path, in one round trip."""
    try:
        _set_local(session, role, search_path, opening)
    except DBAPIError as error:
        # A pooled connection that died with the server: nothing has happened yet, begin anew.
        if not error.connection_invalidated:
            raise
        session.rollback()
        _set_local(session, role, search_path, opening)


def _set_local(session: Session, role: str, search_path: str, opening: Opening | None) -> None:
    connection = session.connection()
    raw = _psycopg(connection)
    with _loss_told(connection, raw), raw.pipeline():
        _send_become(raw, role, search_path)
        cursor = _send(raw, opening) if opening else None
    session.info[_OPENED] = cursor.fetchall() if cursor else []


def _send_become(raw: "psycopg.Connection[Any]", role: str, search_path: str) -> None:
    raw.execute(b"BEGIN")
    # Both are ours: a hex uuid behind a prefix, or a constant.
    raw.execute(f"SET LOCAL ROLE {role}".encode())
    # Unnamed, pg_temp comes first: a table left in the connection would hide ours.
    raw.execute(f"SET LOCAL search_path = {search_path}, pg_temp".encode())
    idle = IDLE_IN_TRANSACTION_MS
    raw.execute(f"SET LOCAL idle_in_transaction_session_timeout = {idle}".encode())


def _psycopg(connection: Connection) -> "psycopg.Connection[Any]":
    raw = connection.connection.dbapi_connection
    if not isinstance(raw, psycopg.Connection):
        raise TypeError("sessions need psycopg connections")
    return raw


@contextmanager
def _loss_told(connection: Connection, raw: "psycopg.Connection[Any]") -> Iterator[None]:
    """Tell SQLAlchemy, in its own words, of what happens behind its back.

    What waits in the pool beside a connection that was lost may be as dead, and take as long to
    show it: the pool begins anew, unless it has already.
    """
    pool = connection.engine.pool
    try:
        yield
    except psycopg.OperationalError as error:
        lost = raw.closed or raw.broken
        if lost:
            connection.invalidate(error)
        if lost and connection.engine.pool is pool:
            connection.engine.dispose()
        raise OperationalError("pipeline", None, error, connection_invalidated=lost) from error
