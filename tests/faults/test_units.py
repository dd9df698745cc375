"""Units under their supervisor: cancelled, killed, told to stop."""

import os
import signal
import subprocess
from uuid import UUID

import pytest

from core.jobs.control import cancel_job
from core.jobs.dead_letters import retry_job
from core.jobs.submit import submit_parent
from core.tenancy.session import open_session
from tests.faults.stage import Stage, children_of, is_alive
from tests.faults.startup.fault_kinds import DEAF, EFFECT, QUEUE
from tests.programs import until

pytestmark = pytest.mark.xdist_group("faults")


def a_deaf_job(stage: Stage, *, seconds: float) -> UUID:
    """Start a job in native code and wait until it is in it."""
    (job,) = stage.submit(kind=DEAF, args={"seconds": seconds})
    until(lambda: stage.starter_of(job), "the job to start")
    return job


def supervisor(stage: Stage, *, units: int, **more: str) -> "subprocess.Popen[bytes]":
    process = stage.start("workers.main", "--queues", QUEUE, "--units", str(units), **more)
    until(lambda: len(children_of(process.pid)) == units, "the units to start")
    return process


def cancel(stage: Stage, job: UUID) -> None:
    with open_session(stage.tenant) as session:
        cancel_job(session, job)


def test_a_cancelled_job_stops_in_native_code_and_harms_no_neighbour(stage: Stage) -> None:
    stage.dispatcher()
    supervisor(stage, units=2)
    cancelled = a_deaf_job(stage, seconds=600)
    neighbour = a_deaf_job(stage, seconds=3)
    deaf = stage.starter_of(cancelled)
    cancel(stage, cancelled)
    until(lambda: not is_alive(deaf), "the unit to be killed")
    assert is_alive(stage.starter_of(neighbour))
    (later,) = stage.submit(kind=EFFECT)
    until(lambda: stage.effects(later) == stage.effects(neighbour) == 1, "the neighbours")
    assert stage.job(neighbour, "attempt") == 1
    assert stage.effects(cancelled) == 0
    assert stage.job(cancelled, "status") == "cancelled"


def test_a_killed_unit_is_started_again_and_its_job_done_by_it(stage: Stage) -> None:
    stage.dispatcher()
    supervisor(stage, units=1)
    job = a_deaf_job(stage, seconds=1)
    killed = stage.starter_of(job)
    os.kill(killed, signal.SIGKILL)
    stage.assert_each_effect_once([job])
    assert stage.starter_of(job) != killed
    assert stage.job(job, "failures") == 1


def test_a_unit_that_hangs_is_replaced_and_its_job_done_by_the_next(stage: Stage) -> None:
    stage.dispatcher()
    supervisor(stage, units=1)
    job = a_deaf_job(stage, seconds=1)
    hung = stage.starter_of(job)
    os.kill(hung, signal.SIGSTOP)
    stage.assert_each_effect_once([job])
    assert not is_alive(hung)
    assert stage.job(job, "failures") == 1


def test_a_sweep_whose_unit_hangs_at_its_end_can_be_cancelled_and_tried_again(
    stage: Stage,
) -> None:
    stage.dispatcher()
    supervisor(stage, units=1, fault="finish.before_commit:stop")
    with open_session(stage.tenant) as session:
        parent = submit_parent(session, kind=EFFECT, args={}, part=EFFECT, parts=[{}, {}])
    stage.until_spent()
    cancel(stage, parent)
    ended = "SELECT count(*) FROM neozork.jobs WHERE parent_id = %s AND status = 'cancelled'"
    until(lambda: stage.column(ended, parent) == [2], "the parts to end")
    with open_session(stage.tenant) as session:
        retry_job(session, parent)
    until(lambda: stage.job(parent, "status") == "succeeded", "the parent")
    assert stage.effects(parent) == 1


def test_a_killed_supervisor_leaves_no_unit(stage: Stage) -> None:
    process = supervisor(stage, units=2)
    units = children_of(process.pid)
    process.kill()
    until(lambda: not any(is_alive(unit) for unit in units), "the units to end")


def test_a_unit_told_to_stop_finishes_its_job(stage: Stage) -> None:
    stage.dispatcher()
    unit = stage.unit()
    job = a_deaf_job(stage, seconds=1)
    unit.terminate()
    assert unit.wait() == 0
    stage.assert_each_effect_once([job])
    assert (stage.job(job, "attempt"), stage.job(job, "failures")) == (1, 0)


def test_a_unit_told_to_stop_gives_back_what_it_cannot_finish(stage: Stage) -> None:
    dispatcher = stage.dispatcher()
    unit = stage.unit(FINISH_WITHIN_S="0.2")
    job = a_deaf_job(stage, seconds=4)
    dispatcher.terminate()
    unit.terminate()
    assert unit.wait() == dispatcher.wait() == 0
    assert stage.job(job, "status") == "queued"
    assert stage.effects(job) == 0
    stage.dispatcher()
    stage.unit()
    stage.assert_each_effect_once([job])
    assert (stage.job(job, "attempt"), stage.job(job, "failures")) == (2, 0)
