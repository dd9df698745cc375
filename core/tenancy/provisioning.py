"""A tenant's schema: born from the newest release's script, in one round trip.

`migrate` renders the tenant tree to that script; provisioning only replays it, as the owner.
"""

from contextlib import closing
from uuid import UUID

from sqlalchemy import Connection, func, insert, select

from core.errors import ConfigurationError
from core.tenancy.engine import owner_engine
from core.tenancy.models import TenantRelease, TenantSchema
from core.tenancy.roles import TENANT_GROUP, tenant_role

# What stands for the tenant's own names in a release's script.
SCHEMA_MARK = "tenant_00000000000000000000000000000000"


def provision(tenant_id: UUID) -> str:
    """Make a tenant's role and schema, and answer the revision it stands at.

    Doing it again, or twice at once, changes nothing: role, schema and version row come and go
    together.
    """
    engine = owner_engine()
    with engine.begin() as connection:
        name = func.hashtextextended(tenant_role(tenant_id), 0)
        connection.execute(select(func.pg_advisory_xact_lock(name)))
        known = connection.scalar(
            select(TenantSchema.revision).where(TenantSchema.tenant_id == tenant_id)
        )
        if known is not None:
            return str(known)
        release = connection.execute(
            select(TenantRelease.head, TenantRelease.script)
            .order_by(TenantRelease.created_at.desc())
            .limit(1)
        ).one_or_none()
        if release is None:
            raise ConfigurationError("The database is empty. Run `neozork migrate` first.")
        run_script(connection, release.script.replace(SCHEMA_MARK, tenant_role(tenant_id)))
        connection.execute(insert(TenantSchema).values(tenant_id=tenant_id, revision=release.head))
    return str(release.head)


def birth_script(ddl: str, tables: list[str], login: str) -> str:
    """Answer the script that a release keeps: role, schema, tables and grants on each."""
    role = SCHEMA_MARK
    return "\n".join(
        [
            f"CREATE ROLE {role} NOLOGIN;",
            f"GRANT {TENANT_GROUP} TO {role};",
            f'GRANT {role} TO "{login}" WITH INHERIT FALSE, SET TRUE;',
            f"CREATE SCHEMA {role};",
            f"GRANT USAGE ON SCHEMA {role} TO {role};",
            f"SET LOCAL search_path = {role};",
            ddl,
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(tables)} TO {role};",
        ]
    )


def upgrade_script(ddl: str, tables: list[str]) -> str:
    """Answer the script that brings a schema to a release's head, with grants on what is new.

    What a deferred constraint would say at the commit it says at the end: one commit is many
    tenants'.
    """
    role = SCHEMA_MARK
    return "\n".join(
        [
            "SET CONSTRAINTS ALL DEFERRED;",
            f"SET LOCAL search_path = {role};",
            ddl,
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(tables)} TO {role};",
            "SET CONSTRAINTS ALL IMMEDIATE;",
        ]
    )


def run_script(connection: Connection, script: str) -> None:
    """Send many statements in one round trip, which only the simple protocol takes."""
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(script)
