"""Tenants that fail and runners that die: nothing is half-applied, nobody else waits."""

import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from core.tenancy.roles import tenant_role
from core.tenancy.session import open_session
from core.tenancy.upgrades import FAILURES_ALLOWED, Outcome, upgrade_tenants
from migrations import run
from tests.builders import a_tenant
from tests.migrations.releases import (
    as_owner,
    backends,
    has,
    head,
    stands,
    start_migrate,
    until_backend,
)
from tests.programs import until

pytestmark = pytest.mark.usefixtures("own_database")
Later = Callable[[str], Path]
DUE = "UPDATE neozork.tenant_schemas SET not_before = NULL"
SLEEP_UNTIL_TOLD = (
    "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_class WHERE relname = 'told') LOOP"
    " PERFORM pg_sleep(0.02); END LOOP; END $$;"
)
TWO_TABLES = "CREATE TABLE first (id int); {} CREATE TABLE second (id int)"


def sleeping_at(tenant: UUID, seconds: float) -> str:
    """Answer a revision that sleeps between two tables, in one tenant's schema alone."""
    role = tenant_role(tenant)
    sleep = f"SELECT CASE current_schema() WHEN '{role}' THEN pg_sleep({seconds}) END;"
    return TWO_TABLES.format(sleep)


def waits_of(tenant: UUID) -> timedelta:
    row = f"FROM neozork.tenant_schemas WHERE tenant_id = '{tenant}'"
    return as_owner(f"SELECT not_before - updated_at {row}")[0][0]


def test_a_tenant_that_fails_is_left_as_it_was_and_quarantined_in_the_end(
    later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.tenancy.upgrades._FIRST_BACK_OFF_S", 3_600.0)
    old = head()
    failing, other = sorted((a_tenant(), a_tenant()))
    as_owner(f"CREATE TABLE {tenant_role(failing)}.second (id int)")
    later(TWO_TABLES.format(""))
    assert run.migrate() == Outcome(migrated=1, failed=1)
    assert stands(other) == ("9999", 0, False)
    assert run.migrate() == Outcome()  # it is not due yet
    for failures in range(2, FAILURES_ALLOWED + 1):
        as_owner(DUE)
        last = failures == FAILURES_ALLOWED
        assert run.migrate() == Outcome(failed=not last, quarantined=last)
        assert stands(failing) == (old, failures, last)
    assert not has(failing, "first")
    as_owner(DUE)
    assert run.migrate() == Outcome()


def test_each_failure_of_a_tenant_makes_it_wait_longer_and_no_two_alike(later: Later) -> None:
    tenants = [a_tenant(), a_tenant()]
    later("SELECT 1 / 0")
    waits = []
    for _ in range(FAILURES_ALLOWED - 1):
        as_owner(DUE)
        assert run.migrate() == Outcome(failed=2)
        waits.append([waits_of(tenant) for tenant in tenants])
    assert all(one != other for one, other in waits)
    for mine in zip(*waits, strict=True):
        assert list(mine) == sorted(mine)
        assert mine[-1] > 9 * mine[0]


def test_a_tenant_whose_failure_was_mended_is_migrated_when_it_is_due(later: Later) -> None:
    tenant = a_tenant()
    table = f"{tenant_role(tenant)}.second"
    as_owner(f"CREATE TABLE {table} (id int)")
    later(TWO_TABLES.format(""))
    assert run.migrate() == Outcome(failed=1)
    as_owner(f"DROP TABLE {table}")
    as_owner(DUE)
    assert run.migrate() == Outcome(migrated=1)
    assert stands(tenant) == ("9999", 0, False)


@pytest.mark.usefixtures("patient_sessions")
def test_a_tenant_whose_table_is_held_is_left_for_later_and_keeps_working(later: Later) -> None:
    held, other = sorted((a_tenant(), a_tenant()))
    later("ALTER TABLE strategies ADD COLUMN stars int")
    with open_session(held) as session:
        session.execute(text("LOCK TABLE strategies IN ROW EXCLUSIVE MODE"))
        assert run.migrate() == Outcome(migrated=1, failed=1)
        assert session.scalars(text("SELECT name FROM strategies")).all() == []
    assert (stands(held)[1], stands(other)) == (1, ("9999", 0, False))
    as_owner(DUE)
    assert run.migrate() == Outcome(migrated=1)


def test_a_tenant_whose_script_kills_its_backend_is_blamed_and_the_others_go_on(
    later: Later,
) -> None:
    tenants = sorted(a_tenant() for _ in range(3))
    killer = tenant_role(tenants[1])
    end = "pg_terminate_backend(pg_backend_pid())"
    end = f"SELECT CASE current_schema() WHEN '{killer}' THEN {end} END;"
    later(TWO_TABLES.format(end))
    assert run.migrate() == Outcome(migrated=2, failed=1)
    assert [stands(tenant)[1] for tenant in tenants] == [0, 1, 0]
    assert [has(tenant, "second") for tenant in tenants] == [True, False, True]


def test_what_a_deferred_constraint_says_is_said_of_its_own_tenant(later: Later) -> None:
    tenants = sorted(a_tenant() for _ in range(3))
    bad = tenant_role(tenants[1])
    later(
        "CREATE TABLE one (id int PRIMARY KEY);"
        "CREATE TABLE two (id int REFERENCES one DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO two VALUES (1);"
        f"INSERT INTO one SELECT 1 WHERE current_schema() <> '{bad}'"
    )
    assert run.migrate() == Outcome(migrated=2, failed=1)
    assert [stands(tenant)[1] for tenant in tenants] == [0, 1, 0]


def test_a_runner_killed_in_the_middle_leaves_no_tenant_half_applied(later: Later) -> None:
    old = head()
    tenants = sorted(a_tenant() for _ in range(3))
    ini = later(sleeping_at(tenants[1], 600))
    killed = start_migrate(ini=ini)
    until_backend("wait_event = 'PgSleep'")
    killed.kill()
    killed.communicate()
    # Nobody cancels it: the server looks by itself whether anybody still listens.
    until(lambda: not backends("wait_event = 'PgSleep'"), "the orphaned script to end")
    assert [stands(tenant) for tenant in tenants] == [(old, 0, False)] * 3
    assert not any(has(tenant, "first") or has(tenant, "second") for tenant in tenants)
    again = ini.parent / "tenant/versions/9999_later.py"
    again.write_text(again.read_text().replace("pg_sleep(600)", "pg_sleep(0)"))
    assert run.migrate() == Outcome(migrated=3)
    assert all(has(tenant, "second") for tenant in tenants)


def test_a_runner_that_stands_still_lets_go_and_does_no_harm_when_it_wakes(later: Later) -> None:
    tenant = a_tenant()
    ini = later(TWO_TABLES.format(SLEEP_UNTIL_TOLD))
    still = start_migrate(ini=ini)
    until_backend("wait_event = 'PgSleep'")
    still.send_signal(signal.SIGSTOP)
    as_owner("CREATE TABLE neozork.told ()")
    assert run.migrate() == Outcome(migrated=1)
    still.send_signal(signal.SIGCONT)
    said = still.communicate(timeout=60)
    assert still.returncode == 0, said
    assert stands(tenant) == ("9999", 0, False)


def test_many_runners_share_the_tenants_and_each_is_migrated_once(later: Later) -> None:
    tenants = [a_tenant() for _ in range(12)]
    ini = later("CREATE TABLE later (id int); SELECT pg_sleep(0.05)")
    runners = [start_migrate(ini=ini) for _ in range(3)]
    ends = [each.communicate(timeout=60) for each in runners]
    assert [each.returncode for each in runners] == [0, 0, 0], ends
    assert {stands(tenant) for tenant in tenants} == {("9999", 0, False)}


def test_a_tenant_that_another_runner_holds_is_passed_over(later: Later) -> None:
    held, other = a_tenant(), a_tenant()
    later("CREATE TABLE later (id int)")
    with run.owner_engine().begin() as connection:
        run._release_tenant_tree(connection)
    with run.owner_engine().begin() as another:
        row = f"FROM neozork.tenant_schemas WHERE tenant_id = '{held}'"
        another.exec_driver_sql(f"SELECT 1 {row} FOR UPDATE")
        assert upgrade_tenants() == Outcome(migrated=1)
        assert stands(other)[0] == "9999"
    assert upgrade_tenants() == Outcome(migrated=1)
