"""Two releases at once: while tenants are half migrated, and where an older one makes schemas."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from core.identity.migrating import enqueue_migration
from core.ids import PLATFORM
from core.jobs.models import Job
from core.tenancy.session import open_platform_session, open_session
from core.tenancy.upgrades import Outcome, upgrade_tenants
from migrations import run
from tests.builders import a_client, a_strategy, a_tenant, do_jobs
from tests.migrations.releases import as_owner, has, head, stands

pytestmark = pytest.mark.usefixtures("own_database")
Later = Callable[[str], Path]
EXPAND = (
    "ALTER TABLE strategies ADD COLUMN stars int NOT NULL DEFAULT 0;"
    "CREATE TABLE ratings (strategy_id uuid PRIMARY KEY, stars int NOT NULL);"
    # A release grants what its models name, and these tables have none.
    "DO $$ BEGIN EXECUTE 'GRANT ALL ON ratings TO ' || current_schema(); END $$;"
)


@contextmanager
def held(tenants: list[UUID]) -> Iterator[None]:
    """Keep runners from tenants, as one that has taken them and is slow does."""
    ids = ", ".join(f"'{tenant}'" for tenant in tenants)
    with run.owner_engine().begin() as another:
        another.exec_driver_sql(
            f"SELECT 1 FROM neozork.tenant_schemas WHERE tenant_id IN ({ids}) FOR UPDATE"
        )
        yield


def older_release_works(tenant: UUID) -> None:
    """Walk through what this code does in a tenant's schema, whose models are the older ones."""
    client = a_client(tenant)
    made = a_strategy(client)
    listed = client.get("/api/v1/trading/strategies/").json["items"]
    assert made in [each["id"] for each in listed]


def newer_release_works(tenant: UUID) -> None:
    """Use what the newer release added, where the tenant has it, and the rest where not."""
    with open_session(tenant) as session:
        session.execute(text("INSERT INTO ratings SELECT id, 5 FROM strategies"))
        session.execute(text("UPDATE strategies SET stars = 5"))


@contextmanager
def an_older_process() -> Iterator[None]:
    """Make schemas as a process does that read the older release before the newer was there."""
    new = head()
    as_owner(f"UPDATE neozork.tenant_releases SET created_at = '1999-1-1' WHERE head = '{new}'")
    yield
    as_owner(f"UPDATE neozork.tenant_releases SET created_at = now() WHERE head = '{new}'")


def test_both_releases_work_while_tenants_are_half_migrated(later: Later) -> None:
    old = head()
    done, left = [a_tenant(), a_tenant()], [a_tenant(), a_tenant()]
    later(EXPAND)
    with run.owner_engine().begin() as connection:
        run._release_tenant_tree(connection)
    with held(left):
        assert upgrade_tenants() == Outcome(migrated=2)
        for tenant in done + left:
            older_release_works(tenant)
        for tenant in done:
            newer_release_works(tenant)
        assert [stands(tenant)[0] for tenant in done + left] == ["9999"] * 2 + [old] * 2
    assert run.migrate() == Outcome(migrated=2)
    for tenant in done + left:
        older_release_works(tenant)
    for tenant in left:
        newer_release_works(tenant)


def test_a_schema_that_an_older_process_made_serves_and_the_next_tick_finds_it(
    later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, real = head(), run._INI
    later(EXPAND)
    run.migrate()
    with an_older_process():
        tenant = a_tenant()
    assert stands(tenant)[0] == old
    older_release_works(tenant)
    # The tick and the job are of the older release too: they know the newer from the database.
    monkeypatch.setattr(run, "_INI", real)
    assert enqueue_migration() == 1
    do_jobs(PLATFORM)
    assert stands(tenant) == ("9999", 0, False)
    older_release_works(tenant)
    newer_release_works(tenant)
    assert enqueue_migration() == 0


def test_a_schema_two_releases_behind_is_brought_to_the_newest_in_one_step(
    later: Later,
) -> None:
    tenant, old = a_tenant(), head()
    ini = later("CREATE TABLE first (id int)")
    revision = (ini.parent / "tenant/versions/9999_later.py").read_text()
    newer = revision.replace('"9999"', '"99999"').replace(repr(old), repr("9999"))
    (ini.parent / "tenant/versions/99999_newer.py").write_text(newer.replace("first", "second"))
    assert run.migrate() == Outcome(migrated=1)
    assert stands(tenant)[0] == "99999"
    assert has(tenant, "first")
    assert has(tenant, "second")


def test_a_job_that_finds_a_failing_tenant_leaves_it_to_a_later_tick(
    later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.tenancy.upgrades._FIRST_BACK_OFF_S", 3_600.0)
    tenant = a_tenant()
    later("SELECT 1 / 0")
    run.migrate()
    assert enqueue_migration() == 0
    as_owner("UPDATE neozork.tenant_schemas SET not_before = NULL")
    assert enqueue_migration() == 1
    do_jobs(PLATFORM)
    assert stands(tenant)[1:] == (2, False)
    with open_platform_session() as session:
        assert session.query(Job.status).filter_by(kind="tenancy.migrate").all() == [("succeeded",)]
