"""The database roles, and who may do what with which shared table.

owner (`DATABASE_URL`)   owns everything; `migrate` and provisioning alone connect as it
login (`APP_DATABASE_URL`)   owns nothing, inherits nothing, may become the roles below
├── neozork_platform     sees across tenants, through policies of its own
└── tenant_<hex>         one per tenant, member of neozork_tenant
    neozork_tenant       sole holder of the tenants' grants on shared tables

Row-level security reads the tenant out of the role's own name, which no statement can change.
"""

import hashlib
import hmac
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from uuid import UUID

from sqlalchemy import Connection, func, select

from core.errors import ConfigurationError
from core.settings import Settings
from core.tenancy.models import SHARED_SCHEMA, Access, SharedBase

TENANT_GROUP = "neozork_tenant"
PLATFORM_ROLE = "neozork_platform"
DEFAULT_LOGIN = "neozork_app"
ROLE_PREFIX = "tenant_"
SET_CONFIG_ADVICE = (
    "Every role may call set_config, and so change its own role. Say as a superuser: REVOKE "
    "EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC"
)

MAY_SET_CONFIG = func.has_function_privilege(
    PLATFORM_ROLE, "pg_catalog.set_config(text,text,boolean)", "EXECUTE"
)


def tenant_role(tenant_id: UUID) -> str:
    """Answer the name of a tenant's role, which is its schema's too."""
    return f"{ROLE_PREFIX}{tenant_id.hex}"


def app_database_url(settings: Settings) -> str:
    """Answer the login role's URL; where only the owner's is given, the one `migrate` makes.

    That role's password is an HMAC of the owner's, so that every process derives it alone.
    """
    if settings.app_database_url is not None:
        return settings.app_database_url
    owner = urlsplit(settings.required("database_url"))
    if not owner.password:
        raise ConfigurationError(
            "DATABASE_URL has no password to derive the login role's from. Make a role that "
            "owns nothing and set APP_DATABASE_URL."
        )
    key = unquote(owner.password).encode()
    password = hmac.new(key, DEFAULT_LOGIN.encode(), hashlib.sha256).hexdigest()
    host = owner.netloc.rpartition("@")[2]
    return urlunsplit(owner._replace(netloc=f"{DEFAULT_LOGIN}:{quote(password)}@{host}"))


def may_set_config(connection: Connection) -> bool:
    """Tell whether our roles may call set_config, which only a superuser can forbid."""
    return bool(connection.scalar(select(MAY_SET_CONFIG)))


def access_statements() -> list[list[str]]:
    """Answer, table by table, what gives both roles what each shared model declares, no more.

    The statements of one table belong in one transaction, those of two in two: each locks its
    table against everybody.
    """
    schema = f"GRANT USAGE ON SCHEMA {SHARED_SCHEMA} TO {TENANT_GROUP}, {PLATFORM_ROLE}"
    models = [mapper.class_ for mapper in SharedBase.registry.mappers]
    tables = [
        _table_statements(f"{SHARED_SCHEMA}.{model.__tablename__}", model.access)
        for model in models
    ]
    return [[schema], *tables]


def _table_statements(table: str, access: Access) -> list[str]:
    statements = [f"REVOKE ALL ON {table} FROM PUBLIC, {TENANT_GROUP}, {PLATFORM_ROLE}"]
    if access.tenant:
        statements.append(f"GRANT {access.tenant} ON {table} TO {TENANT_GROUP}")
    if access.platform:
        statements.append(f"GRANT {access.platform} ON {table} TO {PLATFORM_ROLE}")
    if access.tenant_column is None:
        return statements
    own = f"{access.tenant_column} = substr(current_user::text, {len(ROLE_PREFIX) + 1})::uuid"
    return [
        *statements,
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS own_rows ON {table}",
        f"CREATE POLICY own_rows ON {table} TO {TENANT_GROUP} USING ({own}) WITH CHECK ({own})",
        f"DROP POLICY IF EXISTS all_rows ON {table}",
        f"CREATE POLICY all_rows ON {table} TO {PLATFORM_ROLE} USING (true) WITH CHECK (true)",
    ]
