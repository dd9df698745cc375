import json
from datetime import UTC
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner, Result

from core.cli import main
from core.errors import NeozorkError
from core.identity.operations import set_tenant
from core.jobs import claims
from core.jobs.control import get_job
from core.jobs.events import events_since, position_of
from core.jobs.kinds import RUN_BACKTEST, RUN_SWEEP, RUN_SWEEP_PART
from core.jobs.pauses import paused_queues
from core.jobs.submit import submit_job, submit_parent
from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session, open_session
from tests.builders import a_tenant

NOBODYS = uuid4()

pytestmark = pytest.mark.usefixtures("quiet_jobs")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["jobs", *arguments])


def a_job(tenant: UUID) -> UUID:
    with open_session(tenant) as session:
        return submit_job(session, kind=RUN_BACKTEST, args={"bars": 3})


def a_failed_job(tenant: UUID, code: str = "broke") -> UUID:
    job = a_job(tenant)
    taken = claims.claim(tenant, job)
    assert taken is not None
    claims.fail(taken, NeozorkError("it broke", code=code).problem(), again=False)
    return job


def status(job: UUID) -> str:
    with open_platform_session() as session:
        return get_job(session, job).status


def slug_of(tenant: UUID) -> str:
    with open_platform_session() as session:
        return session.get_one(Tenant, tenant).subdomain


def test_jobs_of_all_firms_are_listed_and_one_is_shown_whole() -> None:
    tenant, other = a_tenant(), a_tenant()
    job, failed = a_job(tenant), a_failed_job(other)
    listed = run("list")
    assert {line.split()[0] for line in listed.stdout.splitlines()} == {str(job), str(failed)}
    assert "broke" in listed.stdout
    assert "2 of 2" in listed.stderr
    firms = {line.split()[2] for line in listed.stdout.splitlines()}
    assert firms == {slug_of(tenant), slug_of(other)}
    (document,) = map(json.loads, run("list", "--status", "failed", "--json").stdout.splitlines())
    assert (document["id"], document["tenant_id"]) == (str(failed), str(other))
    assert document["tenant"] == slug_of(other)
    for name in (slug_of(tenant), slug_of(tenant).upper(), str(tenant)):
        assert run("list", "--tenant", name).stdout.split()[0] == str(job)
    whole = json.loads(run("show", str(job)).stdout)
    assert (whole["args"], whole["failures"], whole["queue"]) == ({"bars": 3}, 0, "interactive")


def test_a_list_is_read_on_by_the_cursor_that_it_names() -> None:
    tenant = a_tenant()
    jobs = [str(a_job(tenant)) for _ in range(3)]
    seen, cursor = list[str](), list[str]()
    for more in ([], ["--json"]):
        page = run("list", "--limit", "1", *more, *cursor)
        seen += [json.loads(page.stdout)["id"] if more else page.stdout.split()[0]]
        (told,) = [line for line in page.stderr.splitlines() if line.startswith("next: ")]
        cursor = told.removeprefix("next: ").split()
        assert cursor[0] == "--cursor"
    last = run("list", "--limit", "1", *cursor)
    assert "next" not in last.stderr
    assert [*seen, last.stdout.split()[0]] == jobs[::-1]


def test_failed_jobs_are_tried_again_or_let_go_by_id_or_by_what_they_share() -> None:
    tenant = a_tenant()
    first, second, third = a_failed_job(tenant), a_failed_job(tenant), a_failed_job(tenant, "other")
    seen = position_of(tenant)
    assert run("retry", str(first)).stdout == f"{first} queued again\n"
    (told,) = events_since(tenant, seen) or []
    assert json.loads(told.data)["status"] == "queued"
    assert run("discard", "--error-code", "other", "--from", "2020-01-01").exit_code == 0
    assert (status(first), status(second), status(third)) == ("queued", "failed", "cancelled")
    assert run("discard", "--all").stdout == "1 job discarded\n"
    assert status(second) == "cancelled"
    assert run("cancel", str(first)).exit_code == 0
    assert status(first) == "cancelled"


def test_a_queue_and_a_firm_are_paused_and_resumed() -> None:
    slug = slug_of(a_tenant())
    assert run("pause", "--queue", "bulk").stdout == "bulk paused\n"
    with open_platform_session() as session:
        assert paused_queues(session) == ["bulk"]
    assert run("pause", "--tenant", slug).exit_code == 0
    paused = run("paused")
    assert paused.stdout == f"queue   bulk\ntenant  {slug}\n"
    assert paused.stderr == "1 queue and 1 firm paused\n"
    assert run("resume", "--queue", "bulk").exit_code == 0
    assert run("resume", "--tenant", slug).stdout == f"{slug} resumed\n"
    assert run("paused").stdout == ""


def test_a_suspended_firm_is_told_of_while_jobs_of_it_wait() -> None:
    tenant, idle = a_tenant(), a_tenant()
    for firm in (tenant, idle):
        set_tenant(slug_of(firm), status="suspended")
    assert run("paused").stdout == ""
    job = a_job(tenant)
    told = run("paused")
    assert told.stdout == f"held    {slug_of(tenant)}\n"
    assert told.stderr == "0 queues and 0 firms paused; 1 suspended firm with jobs that wait\n"
    assert run("cancel", str(job)).exit_code == 0
    assert run("paused").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["retry"], "Take --all"),
        (["pause"], "either --queue or --tenant"),
        (["pause", "--queue", "bulk", "--tenant", "x"], "either --queue or --tenant"),
        (["retry", str(NOBODYS), "--all"], "not both"),
        (["retry", "--all", "--kind", "trading.backtest"], "Beside --all"),
        (["discard", "--all", "--tenant", "acme"], "Beside --all"),
        (["pause", "--queue", "nonsense"], "'housekeeping'"),
        (["list", "--status", "nonsense"], "superseded"),
        (["list", "--queue", "nonsense"], "'money'"),
        (["list", "--kind", "nonsense"], "'trading.backtest'"),
        (["retry", "--kind", "nonsense"], "'trading.backtest'"),
        (["discard", "--kind", "nonsense"], "'trading.backtest'"),
        (["retry", "--kind", "trading.sweep_part"], "'trading.sweep'"),
        (["discard", "--kind", "trading.sweep_part"], "'trading.sweep'"),
        (["list", "--kind", "trading.sweep_part"], "their parent alone"),
        (["list", "--from", "2026-01-02", "--to", "2026-01-01"], "ends before it begins"),
        (["retry", "--from", "2026-01-02", "--to", "2026-01-02"], "ends before it begins"),
        (["list", "--cursor", "nonsense"], "cursor cannot be read"),
        (["list", "--from", "yesterday"], "2026-01-31T09:30:00Z"),
        (["list", "--to", "2026-02-30"], "2026-01-31T09:30:00Z"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_what_can_be_asked(
    arguments: list[str], says: str
) -> None:
    refused = run(*arguments)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith("Usage: ")
    assert says in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["resume", "--tenant", "nobody"], "no such tenant"),
        (["list", "--tenant", "nobody"], "no such tenant"),
        (["list", "--tenant", ""], "no such tenant"),
        (["discard", "--tenant", "", "--kind", "trading.backtest"], "no such tenant"),
        (["list", "--parent", str(NOBODYS)], "no job of this id"),
        (["show", str(NOBODYS)], "no job of this id"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(arguments: list[str], says: str) -> None:
    refused = run(*arguments)
    assert (refused.exit_code, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith("neozork: ")
    assert says in line


def test_each_of_many_jobs_is_told_of_and_one_left_alone_is_1() -> None:
    tenant = a_tenant()
    failed, queued, ended = a_failed_job(tenant), a_job(tenant), a_failed_job(tenant)
    asked = run("cancel", str(ended), str(NOBODYS), str(queued))
    assert (asked.exit_code, asked.stdout) == (1, f"{queued} cancelled\n")
    assert asked.stderr.splitlines() == [
        f"{ended} left alone: it has failed already; there is nothing left to cancel.",
        f"{NOBODYS} left alone: There is no job of this id.",
    ]
    running = a_job(tenant)
    assert claims.claim(tenant, running)
    for command, done, only in (
        ("retry", "queued again", "failed or cancelled one can be tried again"),
        ("discard", "discarded", "failed one can be discarded"),
    ):
        asked = run(command, str(running), str(NOBODYS), str(failed), str(failed))
        assert (asked.exit_code, asked.stdout) == (1, f"{failed} {done}\n")
        assert asked.stderr.splitlines() == [
            f"{running} left alone: it is running; only a {only}.",
            f"{NOBODYS} left alone: There is no job of this id.",
        ]
        failed = ended


def test_a_cancelled_job_is_tried_again_by_its_id_alone() -> None:
    tenant = a_tenant()
    job = a_job(tenant)
    assert run("cancel", str(job)).exit_code == 0
    assert run("retry", "--all").stdout == "0 jobs queued again\n"
    asked = run("retry", str(job))
    assert (asked.exit_code, asked.stdout) == (0, f"{job} queued again\n")
    assert status(job) == "queued"


def test_the_parts_of_a_job_are_listed_and_counted() -> None:
    tenant = a_tenant()
    with open_session(tenant) as session:
        parent = submit_parent(
            session, kind=RUN_SWEEP, args={}, part=RUN_SWEEP_PART, parts=[{}, {}, {}]
        )
    assert "1 of 1" in run("list").stderr
    of_it = ("list", "--parent", str(parent), "--json")
    listed = run(*of_it)
    parts = [UUID(json.loads(line)["id"]) for line in listed.stdout.splitlines()]
    assert listed.stdout == run(*of_it, "--kind", RUN_SWEEP_PART.name).stdout
    assert len(set(parts) - {parent}) == 3
    taken = claims.claim(tenant, parts[0])
    assert taken is not None
    with claims.finishing(taken):
        pass
    shown = json.loads(run("show", str(parent)).stdout)
    assert (shown["parts"], shown["remaining"]) == (3, 2)
    assert shown["by_status"] == {"queued": 2, "succeeded": 1}
    assert json.loads(run("show", str(parts[1])).stdout)["parent_id"] == str(parent)
    refused = run("cancel", str(parts[1]))
    assert refused.exit_code == 1
    assert f"it is a part of the job {parent}" in refused.stderr


@pytest.mark.parametrize("later", ["2999-01-01T09:30:00", "2999-01-01T09:30:00+02:00"])
def test_a_time_may_have_an_offset_or_none(later: str) -> None:
    job = a_job(a_tenant())
    assert run("list", "--to", later).stdout.startswith(str(job))
    assert run("list", "--from", later).stdout == ""


def test_a_time_without_an_offset_is_utc() -> None:
    job = a_job(a_tenant())
    with open_platform_session() as session:
        created = get_job(session, job).created_at
    naive = created.astimezone(UTC).replace(tzinfo=None).isoformat()
    assert run("list", "--from", naive).stdout.startswith(str(job))
    assert run("list", "--to", naive).stdout == ""
