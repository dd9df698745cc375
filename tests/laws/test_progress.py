"""What a listener hears of a job from its asking to its end, in order."""

import json

import pytest

from core.jobs import claims, events
from core.jobs.kinds import RUN_BACKTEST
from core.jobs.running import RunningJob
from core.jobs.submit import submit_job
from core.tenancy.session import open_session
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("database")


def test_every_step_of_a_job_is_told_once_and_in_order() -> None:
    tenant = a_tenant()
    events.announce(tenant, "alert", {"before": "all"})
    seen = events.position_of(tenant)
    with open_session(tenant) as session:
        job_id = submit_job(session, kind=RUN_BACKTEST, args={})
        assert events.events_since(tenant, seen) == []
    taken = claims.claim(tenant, job_id)
    assert taken is not None
    job = RunningJob(taken)
    for fraction, message in ((0.1, "loading"), (0.3, "running"), (0.31, "running"), (0.8, "end")):
        job.progress(fraction, message)
    with job.finishing():
        pass
    heard = [json.loads(event.data) for event in events.events_since(tenant, seen) or []]
    steps = [(told["status"], told["progress"], told["message"]) for told in heard]
    assert steps == [
        ("queued", 0.0, None),
        ("running", 0.0, None),
        ("running", 0.1, "loading"),
        ("running", 0.3, "running"),
        ("running", 0.8, "end"),
        ("succeeded", 1.0, None),
    ]
    assert {told["id"] for told in heard} == {str(job_id)}
    assert all(told["error"] is None for told in heard)
