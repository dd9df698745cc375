"""`python -m migrations.run`: bring roles, shared schema and every tenant's schema up to date.

Safe to run again and at the same time as itself: an advisory lock lets one through to what all
share, and each tenant is taken by one. Connects as the owner (`DATABASE_URL`).
"""

import argparse
import io
import logging
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, column, func, select, table, union
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, OperationalError

from core.errors import ConfigurationError, NeozorkError, NotFoundError
from core.ids import PLATFORM
from core.jobs.turns import set_turns
from core.logging import configure_logging, get_logger
from core.settings import get_settings
from core.storage.installed import install_store
from core.tenancy.engine import owner_engine
from core.tenancy.models import SHARED_SCHEMA, Tenant, TenantRelease, TenantSchema, TenantUpgrade
from core.tenancy.provisioning import birth_script, upgrade_script
from core.tenancy.roles import SET_CONFIG_ADVICE, access_statements, may_set_config
from core.tenancy.session import open_platform_session
from core.tenancy.upgrades import Outcome, count_due, lift_quarantine, upgrade_tenants
from migrations.metadata import TENANT
from migrations.roles import grant_tenants, login_name, make_roles, refuse_unfit
from migrations.status import (
    Status,
    Tree,
    as_json,
    as_text,
    failing_tenants,
    tenants_by_revision,
)

_LOCK = 0x6E656F7A  # "neoz"
_LOCK_WAIT = "300ms"
_LOCK_TRIES = 100
_LOCK_PAUSE_S = 0.3
_OTHERS_END_WITHIN_S = 30.0
_INI = Path(__file__).with_name("alembic.ini")
log = get_logger(__name__)


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
        _patiently(lambda: command.upgrade(_config("shared"), "head"))
        for statements in access_statements():
            _patiently(partial(_run_together, engine, statements))
        with engine.begin() as connection:
            grant_tenants(connection)
            _release_tenant_tree(connection)
        with open_platform_session() as session:
            set_turns(session, PLATFORM, plan=None)
        with engine.begin() as connection:
            if may_set_config(connection):
                log.warning("set_config_is_public", advice=SET_CONFIG_ADVICE)
    return _upgrade_all(engine)


def _patiently(work: Callable[[], None]) -> None:
    """Do what locks a table, again where it must wait: nobody queues for long behind it."""
    for tries_left in reversed(range(_LOCK_TRIES)):
        try:
            work()
        except OperationalError as error:
            if not tries_left or not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            time.sleep(_LOCK_PAUSE_S)
        else:
            return


def _run_together(engine: Engine, statements: list[str]) -> None:
    with engine.begin() as connection:
        for statement in (f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'", *statements):
            connection.exec_driver_sql(statement)


def _upgrade_all(engine: Engine) -> Outcome:
    """Upgrade the tenants; also what another runner holds meanwhile, and may leave."""
    outcome = upgrade_tenants()
    deadline = time.monotonic() + _OTHERS_END_WITHIN_S
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if not count_due(connection):
                break
        time.sleep(_LOCK_PAUSE_S)
        outcome += upgrade_tenants()
    return outcome


def _config(tree: str, output: io.StringIO | None = None) -> Config:
    return Config(_INI, ini_section=tree, output_buffer=output)


def _render(revisions: str) -> str:
    """Answer the SQL between two revisions of the tenant tree, to run in a schema's path."""
    output = io.StringIO()
    command.upgrade(_config("tenant", output), revisions, sql=True)
    script = output.getvalue()
    if re.search(r"^\s*COMMIT\s*;", script, re.MULTILINE | re.IGNORECASE):
        raise ConfigurationError(
            f"The revisions {revisions} commit by themselves: a runner that is killed would leave "
            "tenants half-applied. Leave autocommit_block and CONCURRENTLY out of this tree."
        )
    return script


def _unknown_revisions(connection: Connection) -> list[str]:
    """Answer where the database stands in each tree, as far as this release does not know it."""
    return [
        f"{tree} {revision}"
        for tree, revision in _where_it_stands(connection).items()
        if revision is not None and revision not in _known_revisions(tree)
    ]


def _where_it_stands(connection: Connection) -> dict[str, str | None]:
    """Answer the database's revision in each tree, None for none."""
    there = func.to_regclass(f"{SHARED_SCHEMA}.tenant_releases").is_not(None)
    if not connection.scalar(select(there)):
        return {"shared": None, "tenant": None}
    versions = table("alembic_version", column("version_num"), schema=SHARED_SCHEMA)
    newest = TenantRelease.created_at.desc()
    return {
        "shared": connection.scalar(select(versions.c.version_num)),
        "tenant": connection.scalar(select(TenantRelease.head).order_by(newest).limit(1)),
    }


def status() -> Status:
    """Answer where the database stands against this release."""
    with owner_engine().connect() as connection:
        shared, tenant = (_tree(*each) for each in _where_it_stands(connection).items())
        if shared.database is None:
            return Status(shared, tenant, tenant.release, {}, [], [])
        failing = failing_tenants(connection)
        return Status(
            shared=shared,
            tenant=tenant,
            target=tenant.release if tenant.is_behind else tenant.database,
            tenants=tenants_by_revision(connection),
            waiting=[each for each in failing if each.next_try_at is not None],
            quarantined=[each for each in failing if each.next_try_at is None],
        )


def _tree(name: str, database: str | None) -> Tree:
    head = _head(name)
    older = database is None or (database != head and database in _known_revisions(name))
    return Tree(database, head, is_behind=older)


def _head(tree: str) -> str | None:
    return ScriptDirectory.from_config(_config(tree)).get_current_head()


def _known_revisions(tree: str) -> set[str]:
    scripts = ScriptDirectory.from_config(_config(tree))
    return {script.revision for script in scripts.walk_revisions()}


def _release_tenant_tree(connection: Connection) -> None:
    """Keep the scripts from which new tenants are born, and the others brought to the head."""
    head = _head("tenant")
    if head is None:
        raise ConfigurationError("The tenant tree has no revision.")
    tables = sorted(TENANT.tables)
    birth = birth_script(_render(f"base:{head}"), tables, login_name())
    release = insert(TenantRelease).values(head=head, script=birth)
    connection.execute(
        release.on_conflict_do_update(
            index_elements=[TenantRelease.head],
            set_={"script": birth, "created_at": func.clock_timestamp()},
        )
    )
    for revision in _where_schemas_may_stand(connection) & _known_revisions("tenant") - {head}:
        script = upgrade_script(_render(f"{revision}:{head}"), tables)
        upgrade = insert(TenantUpgrade).values(head=head, from_revision=revision, script=script)
        connection.execute(
            upgrade.on_conflict_do_update(
                index_elements=[TenantUpgrade.head, TenantUpgrade.from_revision],
                set_={"script": script},
            )
        )


def _where_schemas_may_stand(connection: Connection) -> set[str]:
    """Answer the revisions of all schemas, and of those that older processes still make."""
    stand = union(select(TenantSchema.revision), select(TenantRelease.head))
    return set(connection.scalars(stand))


def main(arguments: Sequence[str] | None = None) -> int:
    """Migrate, or tell how it stands, and answer the exit status.

    0: all at the head; 1: it could not be done; 2: asked wrongly; 3: tenants are behind and
    will be tried again; 4: tenants are quarantined.
    """
    asked = _arguments(arguments)
    configure_logging(get_settings(), "migrate")
    # It tells of a rendering as of an upgrade, each time.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        if not asked.status:
            _migrate(asked.retry_quarantined)
        stands = status()
    except (NeozorkError, DBAPIError) as error:
        sys.stderr.write(f"neozork migrate: {_in_words(error)}\n")
        return 2 if isinstance(error, NotFoundError) else 1
    if asked.status:
        sys.stdout.write(f"{as_json(stands) if asked.json else as_text(stands)}\n")
    elif stands.exit_status:
        sys.stderr.write(f"{as_text(stands)}\n")
    return stands.exit_status


def _in_words(error: Exception) -> str:
    """Answer what an error says; of a connection that failed, the driver's own line alone."""
    driver = error.orig if isinstance(error, OperationalError) else None
    if isinstance(driver, psycopg.Error) and driver.sqlstate is None:
        return f"The database cannot be reached: {str(driver).partition(chr(10))[0]}"
    return str(error)


def _migrate(retried: list[str] | None) -> None:
    if retried is not None:
        with owner_engine().begin() as connection:
            lifted = lift_quarantine(connection, retried)
        log.info("quarantine_lifted", tenants=lifted)
    outcome = migrate()
    log.info("migrated", **asdict(outcome))
    with open_platform_session() as session:
        first = session.scalar(select(Tenant.id).limit(1)) is None
    install_store(first=first)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="neozork migrate",
        description="Bring roles, shared schema and every tenant's schema up to date.",
        epilog="Exit status: 0 all at the head, 1 not done, 2 asked wrongly, 3 tenants behind, "
        "4 quarantined.",
    )
    parser.add_argument("--status", action="store_true", help="change nothing, tell how it stands")
    parser.add_argument("--json", action="store_true", help="with --status: for programs")
    parser.add_argument(
        "--retry-quarantined",
        nargs="*",
        metavar="SLUG",
        help="lift the quarantine of these tenants, of all where none is named, and try again",
    )
    asked = parser.parse_args(arguments)
    if asked.status and asked.retry_quarantined is not None:
        parser.error("--status changes nothing: leave one of the two away")
    if asked.json and not asked.status:
        parser.error("--json goes with --status")
    return asked


if __name__ == "__main__":
    sys.exit(main())
