"""The roles that an installation needs, and what of a server or a role is refused."""

from urllib.parse import unquote, urlsplit

import psycopg
from sqlalchemy import Connection, select

from core.errors import ConfigurationError
from core.settings import get_settings
from core.tenancy.models import SHARED_SCHEMA, TenantSchema
from core.tenancy.roles import PLATFORM_ROLE, TENANT_GROUP, app_database_url, tenant_role

_OLDEST_SERVER = 16
_CONNECT_TIMEOUT_S = 5


def login_name() -> str:
    """Answer the name of the role that all sessions log in as."""
    return unquote(urlsplit(app_database_url(get_settings())).username or "")


def refuse_unfit(connection: Connection) -> None:
    """Raise ConfigurationError where the server or the owner's rights do not suffice."""
    refuse_old_server(int((connection.dialect.server_version_info or (0,))[0]))
    may = connection.exec_driver_sql(
        "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"
    ).scalar()
    if not may:
        raise ConfigurationError(
            "The role of DATABASE_URL may not create roles, and each tenant has one. Say as a "
            "superuser: ALTER ROLE <that role> CREATEROLE;"
        )


def refuse_old_server(version: int) -> None:
    """Raise ConfigurationError for a major version that lacks what the roles need."""
    if version < _OLDEST_SERVER:
        raise ConfigurationError(
            f"Postgres {version} is too old: NeoZork needs {_OLDEST_SERVER} or newer."
        )


def make_roles(connection: Connection) -> None:
    """Make the shared schema and the roles that are not there yet.

    Raises ConfigurationError where the login is missing, or is above the rules.
    """
    login = login_name()
    connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SHARED_SCHEMA}")
    known = set(connection.exec_driver_sql("SELECT rolname FROM pg_roles").scalars())
    if login in known:
        _refuse_mighty_login(connection, login)
    for group in (TENANT_GROUP, PLATFORM_ROLE):
        if group not in known:
            connection.exec_driver_sql(f"CREATE ROLE {group} NOLOGIN")
    if get_settings().app_database_url is None:
        _let_in(connection, login, known=login in known)
    elif login not in known:
        raise ConfigurationError(
            f"APP_DATABASE_URL names the role {login}, which does not exist. Make it with "
            f"CREATE ROLE {login} LOGIN NOINHERIT, or leave APP_DATABASE_URL unset."
        )
    _grant_missing(connection, login, {PLATFORM_ROLE})


def grant_tenants(connection: Connection) -> None:
    """Let the login become every tenant's role: those made before may be another login's."""
    tenants = connection.scalars(select(TenantSchema.tenant_id))
    _grant_missing(connection, login_name(), {tenant_role(tenant_id) for tenant_id in tenants})


def _let_in(connection: Connection, login: str, *, known: bool) -> None:
    """Give the login the password that every process derives, where it does not have it.

    Roles are the cluster's: two databases that migrate at once must not change one for nothing.
    """
    url = app_database_url(get_settings())
    if known and _opens(url):
        return
    # The password is a hex digest: it carries no quote.
    password = unquote(urlsplit(url).password or "")
    verb = "ALTER" if known else "CREATE"
    connection.exec_driver_sql(f"{verb} ROLE {login} LOGIN NOINHERIT PASSWORD '{password}'")


def _opens(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=_CONNECT_TIMEOUT_S).close()
    except psycopg.OperationalError:
        return False
    return True


def _grant_missing(connection: Connection, login: str, roles: set[str]) -> None:
    held = connection.exec_driver_sql(
        "SELECT held.rolname FROM pg_auth_members JOIN pg_roles held ON held.oid = roleid"
        " WHERE member = quote_ident(%(login)s)::regrole"
        " AND set_option AND NOT inherit_option",
        {"login": login},
    ).scalars()
    if missing := roles - set(held):
        connection.exec_driver_sql(
            f'GRANT {", ".join(sorted(missing))} TO "{login}" WITH INHERIT FALSE, SET TRUE'
        )


def _refuse_mighty_login(connection: Connection, login: str) -> None:
    mighty = connection.exec_driver_sql(
        "SELECT rolsuper OR rolbypassrls OR rolcreaterole"
        " OR pg_has_role(rolname, current_user, 'MEMBER') FROM pg_roles WHERE rolname = %(login)s",
        {"login": login},
    ).scalar()
    if mighty:
        raise ConfigurationError(
            f"The sessions would log in as {login}, which is the owner or may as much: nothing "
            "would keep the tenants apart. Set APP_DATABASE_URL to a role that owns nothing: "
            "CREATE ROLE neozork_app LOGIN NOINHERIT, or leave it unset."
        )
