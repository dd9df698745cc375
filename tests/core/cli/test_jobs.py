import json
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from core.cli import main
from core.errors import NeozorkError
from core.jobs import claims
from core.jobs.control import get_job
from core.jobs.events import events_since, position_of
from core.jobs.kinds import RUN_BACKTEST
from core.jobs.pauses import paused_queues
from core.jobs.submit import submit_job
from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session, open_session
from tests.builders import a_tenant

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
    (document,) = map(json.loads, run("list", "--status", "failed", "--json").stdout.splitlines())
    assert (document["id"], document["tenant_id"]) == (str(failed), str(other))
    assert run("list", "--tenant", slug_of(tenant)).stdout.split()[0] == str(job)
    whole = json.loads(run("show", str(job)).stdout)
    assert (whole["args"], whole["failures"], whole["queue"]) == ({"bars": 3}, 0, "interactive")


def test_failed_jobs_are_tried_again_or_let_go_by_id_or_by_what_they_share() -> None:
    tenant = a_tenant()
    first, second, third = a_failed_job(tenant), a_failed_job(tenant), a_failed_job(tenant, "other")
    seen = position_of(tenant)
    assert run("retry", str(first)).stdout == "1 jobs queued again\n"
    (told,) = events_since(tenant, seen) or []
    assert json.loads(told.data)["status"] == "queued"
    assert run("discard", "--error-code", "other", "--from", "2020-01-01").exit_code == 0
    assert (status(first), status(second), status(third)) == ("queued", "failed", "cancelled")
    assert run("discard", "--all").stdout == "1 jobs discarded\n"
    assert status(second) == "cancelled"
    assert run("cancel", str(first)).exit_code == 0
    assert status(first) == "cancelled"


def test_a_queue_and_a_firm_are_paused_and_resumed() -> None:
    slug = slug_of(a_tenant())
    assert run("pause", "--queue", "bulk").stdout == "bulk paused\n"
    with open_platform_session() as session:
        assert paused_queues(session) == ["bulk"]
    assert run("resume", "--queue", "bulk").exit_code == 0
    assert run("pause", "--tenant", slug).exit_code == 0
    assert run("resume", "--tenant", slug).stdout == f"{slug} resumed\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["retry"], "Take --all"),
        (["pause"], "either --queue or --tenant"),
        (["pause", "--queue", "bulk", "--tenant", "x"], "either --queue or --tenant"),
        (["pause", "--queue", "nonsense"], "unknown_queue"),
        (["resume", "--tenant", "nobody"], "no such tenant"),
        (["show", "00000000-0000-0000-0000-000000000001"], "no job of this id"),
        (["list", "--tenant", "nobody"], "no such tenant"),
    ],
)
def test_what_makes_no_sense_is_refused_and_says_why(arguments: list[str], says: str) -> None:
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert says in refused.output


@pytest.mark.parametrize(("option", "known"), [("--status", "superseded"), ("--queue", "money")])
def test_a_filter_that_no_job_can_meet_is_refused_with_what_can(option: str, known: str) -> None:
    refused = run("list", option, "nonsense")
    assert refused.exit_code == 2
    assert known in refused.stderr + str(refused.exception)
