"""Messages are hints: early, lost, doubled or flushed, each job is done once."""

import pytest

from core.jobs import control
from core.jobs.broker import count_messages, publish
from core.jobs.picks import Message
from core.jobs.submit import submit_job
from core.tenancy.session import open_platform_session, open_session
from core.valkey import get_valkey
from tests.faults.stage import Stage, stopped
from tests.faults.startup.fault_kinds import EFFECT, QUEUE
from tests.programs import until

pytestmark = pytest.mark.xdist_group("faults")


def message_of(stage: Stage, job: object) -> Message:
    return Message(stage.tenant, job, EFFECT.name, QUEUE)


def until_taken() -> None:
    until(lambda: count_messages(QUEUE) == 0, "the messages to be taken")


@pytest.mark.usefixtures("patient_sessions")
def test_a_message_before_the_submissions_commit_is_not_lost(stage: Stage) -> None:
    stage.unit()
    with open_session(stage.tenant) as session:
        job = submit_job(session, kind=EFFECT, args={})
        publish([message_of(stage, job)])
        until_taken()
        assert stage.statuses() == []
    stage.dispatcher()
    stage.assert_each_effect_once([job])


@pytest.mark.usefixtures("patient_sessions")
def test_a_claim_waits_for_the_dispatchers_commit(stage: Stage) -> None:
    stage.unit()
    (job,) = stage.submit()
    with open_platform_session() as session:
        session.get_one(control.Job, job).status = "dispatched"
        session.flush()
        publish([message_of(stage, job)])
        until(
            lambda: stage.column(
                "SELECT 1 FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ),
            "the claim to wait for the row",
        )
        assert stage.effects(job) == 0
    stage.assert_each_effect_once([job])
    assert stage.job(job, "attempt") == 1


def test_a_message_that_comes_three_times_is_one_attempt(stage: Stage) -> None:
    (job, behind) = stage.submit(2)
    stage.unit()
    for _ in range(3):
        publish([message_of(stage, job)])
        until_taken()
    # One at a time: whoever did the job behind has heard all three.
    publish([message_of(stage, behind)])
    stage.assert_each_effect_once([job, behind])
    assert stage.job(job, "attempt") == 1


def test_messages_lost_in_a_flush_are_published_again(stage: Stage) -> None:
    dispatcher = stage.dispatcher()
    jobs = stage.submit(3)
    until(lambda: stage.statuses() == ["dispatched"], "the jobs to be dispatched")
    with stopped(dispatcher):
        get_valkey().flushdb()
        stage.unit()
    stage.assert_each_effect_once(jobs)


def test_a_message_that_died_with_its_worker_comes_again(stage: Stage) -> None:
    killed = stage.unit(fault="claim.before_commit:kill")
    (job,) = stage.submit()
    stage.dispatcher()
    until(lambda: killed.poll() is not None, "the unit to be killed")
    assert stage.job(job, "status") == "dispatched"
    stage.unit()
    stage.assert_each_effect_once([job])
    assert stage.job(job, "failures") == 0
    assert int(str(stage.job(job, "publishes"))) > 1
