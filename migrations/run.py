"""`python -m migrations.run`: bring roles, shared schema and every tenant's schema up to date.

Safe to run again and at the same time as itself: an advisory lock lets one through, and each
tenant is one transaction. Connects as the owner (`DATABASE_URL`).
"""

import io
import logging
import sys
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, column, func, or_, select, table, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, OperationalError

from core.errors import ConfigurationError, NeozorkError
from core.ids import PLATFORM
from core.jobs.turns import set_turns
from core.logging import configure_logging, get_logger
from core.settings import get_settings
from core.tenancy.engine import owner_engine
from core.tenancy.models import SHARED_SCHEMA, TenantRelease, TenantSchema
from core.tenancy.provisioning import birth_script, run_script
from core.tenancy.roles import (
    SET_CONFIG_ADVICE,
    access_statements,
    may_set_config,
    tenant_role,
)
from core.tenancy.session import open_platform_session
from migrations.metadata import TENANT
from migrations.roles import grant_tenants, login_name, make_roles, refuse_unfit

FAILURES_ALLOWED = 5
_LOCK = 0x6E656F7A  # "neoz"
_LOCK_WAIT = "300ms"
_LOCK_TRIES = 100
_LOCK_PAUSE_S = 0.3
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

    A database that a newer release migrated is left alone: this one keeps working on it. Raises
    ConfigurationError where the server or the owner's rights do not suffice.
    """
    engine = owner_engine()
    with engine.connect() as lock:
        # For a transaction, not a session: a PgBouncer would keep the lock of a session for ever.
        lock.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        with engine.begin() as connection:
            refuse_unfit(connection)
            if unknown := _unknown_revisions(connection):
                log.warning("database_is_newer", revisions=unknown, done="nothing")
                return Outcome()
            make_roles(connection)
        command.upgrade(_config("shared"), "head")
        for statements in access_statements():
            _patiently(engine, statements)
        with engine.begin() as connection:
            grant_tenants(connection)
            head = _release_tenant_tree(connection)
        with open_platform_session() as session:
            set_turns(session, PLATFORM, plan=None)
        outcome = migrate_tenants(engine, head)
        with engine.begin() as connection:
            if may_set_config(connection):
                log.warning("set_config_is_public", advice=SET_CONFIG_ADVICE)
    return outcome


def _patiently(engine: Engine, statements: list[str]) -> None:
    """Run statements that lock a table; nobody queues for long behind one that must wait."""
    for tries_left in reversed(range(_LOCK_TRIES)):
        try:
            with engine.begin() as connection:
                for statement in (f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'", *statements):
                    connection.exec_driver_sql(statement)
        except OperationalError as error:
            if not tries_left or not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            time.sleep(_LOCK_PAUSE_S)
        else:
            return


def migrate_tenants(engine: Engine, head: str) -> Outcome:
    """Replay the missing revisions over each tenant that is behind, one transaction each.

    A failing tenant is left as it was, tried again later, and quarantined after
    FAILURES_ALLOWED failures; the others go on.
    """
    outcome = Outcome()
    scripts: dict[str, str] = {}
    last = UUID(int=0)
    while True:
        with engine.begin() as connection:
            behind = connection.execute(
                select(TenantSchema.tenant_id, TenantSchema.revision)
                .where(TenantSchema.revision != head, TenantSchema.quarantined_at.is_(None))
                .where(TenantSchema.tenant_id > last)
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
            last = behind.tenant_id
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
                f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'; SET LOCAL search_path = {role};\n"
                f"{script}\n{_grants(role)}",
            )
            connection.execute(
                mine.values(revision=head, failures=0, error=None, updated_at=func.now())
            )
    except (psycopg.Error, DBAPIError) as error:
        log.warning("tenant_migration_failed", tenant_id=str(tenant_id), error=str(error))
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
    tables = ", ".join(sorted(TENANT.tables))
    return f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role};"


def _config(tree: str, output: io.StringIO | None = None) -> Config:
    return Config(_INI, ini_section=tree, output_buffer=output)


def _render(revisions: str) -> str:
    """Answer the SQL between two revisions of the tenant tree, to run in a schema's path."""
    output = io.StringIO()
    command.upgrade(_config("tenant", output), revisions, sql=True)
    return output.getvalue()


def _unknown_revisions(connection: Connection) -> list[str]:
    """Answer where the database stands in each tree, as far as this release does not know it."""
    there = func.to_regclass(f"{SHARED_SCHEMA}.tenant_releases").is_not(None)
    if not connection.scalar(select(there)):
        return []
    versions = table("alembic_version", column("version_num"), schema=SHARED_SCHEMA)
    newest = TenantRelease.created_at.desc()
    stands = {
        "shared": connection.scalar(select(versions.c.version_num)),
        "tenant": connection.scalar(select(TenantRelease.head).order_by(newest).limit(1)),
    }
    return [
        f"{tree} {revision}"
        for tree, revision in stands.items()
        if revision is not None and revision not in _known_revisions(tree)
    ]


def _known_revisions(tree: str) -> set[str]:
    scripts = ScriptDirectory.from_config(_config(tree))
    return {script.revision for script in scripts.walk_revisions()}


def _release_tenant_tree(connection: Connection) -> str:
    """Keep the script from which new tenants are born, and answer the tree's head."""
    head = ScriptDirectory.from_config(_config("tenant")).get_current_head()
    if head is None:
        raise ConfigurationError("The tenant tree has no revision.")
    tables = sorted(TENANT.tables)
    script = birth_script(_render(f"base:{head}"), tables, login_name())
    release = insert(TenantRelease).values(head=head, script=script)
    connection.execute(
        release.on_conflict_do_update(
            index_elements=[TenantRelease.head],
            set_={"script": script, "created_at": func.clock_timestamp()},
        )
    )
    return head


def main() -> int:
    """Migrate and answer the exit status: 1 where a tenant stayed behind."""
    configure_logging(get_settings(), "migrate")
    # It tells of a rendering as of an upgrade, each time.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        outcome = migrate()
    except (NeozorkError, DBAPIError) as error:
        sys.stderr.write(f"neozork migrate: {error}\n")
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
