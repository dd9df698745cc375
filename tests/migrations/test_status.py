import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.tenancy.roles import tenant_role
from core.tenancy.upgrades import FAILURES_ALLOWED
from migrations import run
from tests.builders import a_slug, a_tenant
from tests.migrations.releases import REAL, as_owner, head, stands

pytestmark = pytest.mark.usefixtures("own_database")
EMPTY = pytest.mark.parametrize("own_database", ["template1"], indirect=True)
Later = Callable[[str], Path]
QUARANTINE = (
    f"UPDATE neozork.tenant_schemas SET failures = {FAILURES_ALLOWED - 1}, not_before = NULL"
)


def told(capsys: pytest.CaptureFixture[str], *asked: str) -> tuple[int, str]:
    """Ask as the command line does; answer the exit status and what it said."""
    capsys.readouterr()
    answer = run.main(asked)
    said = capsys.readouterr()
    return answer, said.out or said.err


def a_quarantined_tenant(later: Later) -> str:
    """Make a tenant whose schema meets a table that the next release makes."""
    slug = a_slug()
    tenant = a_tenant(slug=slug)
    as_owner(f"CREATE TABLE {tenant_role(tenant)}.second (id int)")
    later("CREATE TABLE first (id int); CREATE TABLE second (id int)")
    as_owner(QUARANTINE)
    run.migrate()
    assert stands(tenant)[2]
    return slug


def mend() -> None:
    """Drop the table that is in the way, wherever it is."""
    for (schema,) in as_owner("SELECT schemaname FROM pg_tables WHERE tablename = 'second'"):
        as_owner(f"DROP TABLE {schema}.second")


def test_all_at_the_head_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    a_tenant()
    status, said = told(capsys, "--status")
    assert (status, said.splitlines()[-1]) == (0, "At the head: all, 1 tenant.")


def test_the_command_line_passes_on_what_is_asked_and_how_it_ended() -> None:
    asked = [sys.executable, "manage.py", "migrate", "--status", "--json"]
    done = subprocess.run(asked, cwd=REAL.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["behind"]) == (0, 0), done.stderr
    refused = subprocess.run(
        [*asked[:-1], "--what"], cwd=REAL.parent, capture_output=True, check=False
    )
    assert refused.returncode == 2


@EMPTY
def test_an_empty_database_is_behind(capsys: pytest.CaptureFixture[str]) -> None:
    status, said = told(capsys, "--status")
    assert status == 3
    assert "none" in said
    assert said.splitlines()[-1] == "The database is behind this release: neozork migrate"


def test_a_newer_release_sees_all_that_it_would_do_and_does_nothing(
    later: Later, capsys: pytest.CaptureFixture[str]
) -> None:
    tenant, before = a_tenant(), head()
    later("CREATE TABLE later (id int)")
    status, said = told(capsys, "--status", "--json")
    document = json.loads(said)
    assert status == document["exit_status"] == 3
    assert document["tenant"] == {"database": before, "release": "9999", "is_behind": True}
    assert document["tenants"] == {before: 1}
    assert (document["target"], document["behind"]) == ("9999", 1)
    assert (stands(tenant)[0], head()) == (before, before)


def test_an_older_release_takes_a_newer_database_for_no_fault(
    later: Later, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_tenant()
    real = run._INI
    later("CREATE TABLE later (id int)")
    run.migrate()
    monkeypatch.setattr(run, "_INI", real)
    status, said = told(capsys, "--status", "--json")
    assert (status, json.loads(said)["target"]) == (0, "9999")


def test_a_failing_tenant_is_shown_with_its_error_and_its_next_try(
    later: Later, capsys: pytest.CaptureFixture[str]
) -> None:
    slug = a_slug()
    tenant = a_tenant(slug=slug)
    later("SELECT 1 / 0")
    status, said = told(capsys)
    assert (status, stands(tenant)[1]) == (3, 1)
    (line,) = [line for line in said.splitlines() if line.startswith(slug)]
    assert "division by zero" in line
    assert "never" not in line
    assert said.splitlines()[-1] == "1 tenant behind; the scheduler has that tried again."


def test_a_quarantined_tenant_is_told_of_at_the_end_of_each_migrate(
    later: Later, capsys: pytest.CaptureFixture[str]
) -> None:
    before, slug = head(), a_quarantined_tenant(later)
    for asked in ([], ["--status"]):
        status, said = told(capsys, *asked)
        assert status == 4
        assert "neozork migrate --retry-quarantined" in said.splitlines()[-1]
        (line,) = [line for line in said.splitlines() if line.startswith(slug)]
        assert line.split()[1:3] == [before, str(FAILURES_ALLOWED)]
        assert "never" in line
        assert 'relation "second" already exists' in line
    status, said = told(capsys, "--status", "--json")
    (quarantined,) = json.loads(said)["quarantined"]
    assert (status, quarantined["tenant"], quarantined["next_try_at"]) == (4, slug, None)


@pytest.mark.parametrize("by_name", [False, True])
def test_a_tenant_whose_quarantine_is_lifted_is_tried_again(
    later: Later, capsys: pytest.CaptureFixture[str], *, by_name: bool
) -> None:
    slug = a_quarantined_tenant(later)
    names = [slug] if by_name else []
    assert told(capsys, "--retry-quarantined", *names)[0] == 3  # it fails, for the first time
    as_owner(QUARANTINE)
    run.migrate()
    mend()
    assert told(capsys, "--retry-quarantined", *names)[0] == 0
    assert told(capsys, "--status")[0] == 0


def test_only_a_quarantined_tenant_can_be_retried_by_name(
    later: Later, capsys: pytest.CaptureFixture[str]
) -> None:
    slug = a_quarantined_tenant(later)
    mend()
    status, said = told(capsys, "--retry-quarantined", slug, "no-such-firm")
    assert (status, "no-such-firm" in said) == (2, True)
    assert told(capsys, "--status")[0] == 4


@pytest.mark.parametrize("asked", [["--json"], ["--status", "--retry-quarantined"], ["--what"]])
def test_what_makes_no_sense_is_refused(asked: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run.main(asked)


def test_a_server_that_does_not_answer_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://x:y@/z?host=/nowhere")
    run.get_settings.cache_clear()
    assert told(capsys, "--status")[0] == 1
