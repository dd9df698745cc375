"""`python -m migrations.run`: bring roles, shared schema and every tenant's schema up to date.

Safe to run again and at the same time as itself: an advisory lock lets one through, and each
tenant is one transaction. Connects as the owner (`DATABASE_URL`).
"""

import io
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from core.errors import ConfigurationError, NeozorkError
from core.ids import PLATFORM
from core.jobs.turns import set_turns
from core.logging import configure_logging, get_logger
from core.settings import get_settings
from core.tenancy.engine import owner_engine
from core.tenancy.models import SHARED_SCHEMA, TenantRelease, TenantSchema
from core.tenancy.provisioning import birth_script, run_script
from core.tenancy.roles import (
    PLATFORM_ROLE,
    SET_CONFIG_ADVICE,
    TENANT_GROUP,
    access_statements,
    app_database_url,
    may_set_config,
    tenant_role,
)
from core.tenancy.session import open_platform_session
from migrations.metadata import TENANT

FAILURES_ALLOWED = 5
_LOCK = 0x6E656F7A  # "neoz"
_OLDEST_SERVER = 16
_BACK_OFF = timedelta(seconds=10)
_INI = Path(__file__).with_name("alembic.ini")
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run did to the tenants' schemas."""

    migrated: int = 0
    failed: int = 0
    quarantined: int = 0


def migrate() -> Outcome:
    """Bring everything up to date and answer how the tenants fared.

    Raises ConfigurationError where the server or the owner's rights do not suffice.
    """
    engine = owner_engine()
    with engine.connect() as lock:
        lock.execute(select(func.pg_advisory_lock(_LOCK)))
        _refuse_unfit(lock)
        with engine.begin() as connection:
            _make_roles(connection)
        command.upgrade(_config("shared"), "head")
        with engine.begin() as connection:
            for statement in access_statements():
                connection.exec_driver_sql(statement)
            head = _release_tenant_tree(connection)
        with open_platform_session() as session:
            set_turns(session, PLATFORM, plan=None)
        outcome = migrate_tenants(engine, head)
        if may_set_config(lock):
            log.warning("set_config_is_public", advice=SET_CONFIG_ADVICE)
    return outcome


def migrate_tenants(engine: Engine, head: str) -> Outcome:
    """Replay the missing revisions over each tenant that is behind, one transaction each.

    A failing tenant is left as it was, tried again later, and quarantined after
    FAILURES_ALLOWED failures; the others go on.
    """
    outcome = Outcome()
    scripts: dict[str, str] = {}
    seen: set[UUID] = set()
    while True:
        with engine.begin() as connection:
            behind = connection.execute(
                select(TenantSchema.tenant_id, TenantSchema.revision)
                .where(TenantSchema.revision != head, TenantSchema.quarantined_at.is_(None))
                .where(TenantSchema.tenant_id.not_in(seen))
                .where(
                    or_(
                        TenantSchema.not_before.is_(None),
                        TenantSchema.not_before <= func.clock_timestamp(),
                    )
                )
                .order_by(TenantSchema.tenant_id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).one_or_none()
            if behind is None:
                return outcome
            seen.add(behind.tenant_id)
            if behind.revision not in scripts:
                scripts[behind.revision] = _render(f"{behind.revision}:{head}")
            outcome = _migrate_one(
                connection, behind.tenant_id, scripts[behind.revision], head, outcome
            )


def _migrate_one(
    connection: Connection, tenant_id: UUID, script: str, head: str, outcome: Outcome
) -> Outcome:
    mine = update(TenantSchema).where(TenantSchema.tenant_id == tenant_id)
    role = tenant_role(tenant_id)
    try:
        with connection.begin_nested():
            run_script(
                connection,
                f"SET LOCAL lock_timeout = '300ms'; SET LOCAL search_path = {role};\n{script}"
                f"\n{_grants(role)}",
            )
            connection.execute(
                mine.values(revision=head, failures=0, error=None, updated_at=func.now())
            )
    except Exception as error:  # noqa: BLE001 - psycopg's and SQLAlchemy's alike: kept on the row
        log.warning("tenant_migration_failed", tenant_id=str(tenant_id), error=str(error))
        connection.exec_driver_sql("RESET search_path")
        failures = connection.scalar(
            mine.values(
                failures=TenantSchema.failures + 1,
                not_before=func.clock_timestamp() + _BACK_OFF,
                error=str(error),
            ).returning(TenantSchema.failures)
        )
        if failures is not None and failures >= FAILURES_ALLOWED:
            connection.execute(mine.values(quarantined_at=func.now()))
            return replace(outcome, quarantined=outcome.quarantined + 1)
        return replace(outcome, failed=outcome.failed + 1)
    return replace(outcome, migrated=outcome.migrated + 1)


def _grants(role: str) -> str:
    tables = ", ".join(sorted(table.name for table in TENANT.sorted_tables))
    return f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role};"


def _config(tree: str, output: io.StringIO | None = None) -> Config:
    return Config(_INI, ini_section=tree, output_buffer=output)


def _render(revisions: str) -> str:
    """Answer the SQL between two revisions of the tenant tree, to run in a schema's path."""
    output = io.StringIO()
    command.upgrade(_config("tenant", output), revisions, sql=True)
    return output.getvalue()


def _release_tenant_tree(connection: Connection) -> str:
    """Keep the script from which new tenants are born, and answer the tree's head."""
    head = ScriptDirectory.from_config(_config("tenant")).get_current_head()
    if head is None:
        raise ConfigurationError("The tenant tree has no revision.")
    login = unquote(urlsplit(app_database_url(get_settings())).username or "")
    tables = sorted(table.name for table in TENANT.sorted_tables)
    script = birth_script(_render(f"base:{head}"), tables, login)
    release = insert(TenantRelease).values(head=head, script=script)
    connection.execute(
        release.on_conflict_do_update(
            index_elements=[TenantRelease.head],
            set_={"script": script, "created_at": func.clock_timestamp()},
        )
    )
    return head


def _refuse_unfit(connection: Connection) -> None:
    version = int((connection.dialect.server_version_info or (0,))[0])
    if version < _OLDEST_SERVER:
        raise ConfigurationError(
            f"Postgres {version} is too old: NeoZork needs {_OLDEST_SERVER} or newer."
        )
    may = connection.exec_driver_sql(
        "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"
    ).scalar()
    if not may:
        raise ConfigurationError(
            "The role of DATABASE_URL may not create roles, and each tenant has one. Say as a "
            "superuser: ALTER ROLE <that role> CREATEROLE;"
        )


def _make_roles(connection: Connection) -> None:
    url = urlsplit(app_database_url(get_settings()))
    login = unquote(url.username or "")
    connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SHARED_SCHEMA}")
    known = set(connection.exec_driver_sql("SELECT rolname FROM pg_roles").scalars())
    for group in (TENANT_GROUP, PLATFORM_ROLE):
        if group not in known:
            connection.exec_driver_sql(f"CREATE ROLE {group} NOLOGIN")
    if get_settings().app_database_url is None:
        # The password is a hex digest: it carries no quote.
        verb = "ALTER" if login in known else "CREATE"
        connection.exec_driver_sql(
            f"{verb} ROLE {login} LOGIN NOINHERIT PASSWORD '{unquote(url.password or '')}'"
        )
    elif login not in known:
        raise ConfigurationError(
            f"APP_DATABASE_URL names the role {login}, which does not exist. Make it with "
            f"CREATE ROLE {login} LOGIN NOINHERIT, or leave APP_DATABASE_URL unset."
        )
    connection.exec_driver_sql(f'GRANT {PLATFORM_ROLE} TO "{login}" WITH INHERIT FALSE, SET TRUE')


def main() -> int:
    """Migrate and answer the exit status: 1 where a tenant stayed behind."""
    configure_logging(get_settings(), "migrate")
    try:
        outcome = migrate()
    except (NeozorkError, DBAPIError) as error:
        print(f"neozork migrate: {error}", file=sys.stderr)  # noqa: T201 - a command speaks
        return 1
    log.info(
        "migrated",
        tenants=outcome.migrated,
        failed=outcome.failed,
        quarantined=outcome.quarantined,
    )
    return 1 if outcome.failed or outcome.quarantined else 0


if __name__ == "__main__":
    sys.exit(main())
