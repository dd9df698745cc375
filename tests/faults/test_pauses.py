"""A worker that stands still past its lease, and wakes when another has done its job."""

import signal
from uuid import UUID

import pytest

from tests.faults.stage import Stage, state_of, stopped
from tests.programs import until

pytestmark = pytest.mark.xdist_group("faults")


def overtaken_and_woken(stage: Stage, point: str, **more: str) -> UUID:
    """Stop a unit at a point, let another do its job, wake it, and wait until it is past it."""
    dispatcher = stage.dispatcher()
    paused = stage.unit(fault=f"{point}:stop", **more)
    (job,) = stage.submit()
    stage.until_spent()
    until(lambda: state_of(paused.pid) == "T", "the unit to stand still")
    other = stage.unit()
    until(lambda: stage.effects(job) == 1, "the other unit to do the job")
    # The woken one takes the next job when it has done with the first, or dies of its loss.
    with stopped(other), stopped(dispatcher):
        paused.send_signal(signal.SIGCONT)
    with stopped(other):
        next_job = stage.submit()
        until(lambda: stage.effects(*next_job) or paused.poll() is not None, "the woken unit")
    stage.until_all_succeeded()
    return job


@pytest.mark.parametrize("point", ["claim.after_commit", "finish.before_commit"])
def test_a_woken_worker_writes_nothing(stage: Stage, point: str) -> None:
    job = overtaken_and_woken(stage, point)
    assert stage.effects(job) == 1
    assert stage.job(job, "attempt") == 2


def test_without_the_fence_the_woken_worker_doubles_the_effect(stage: Stage) -> None:
    job = overtaken_and_woken(stage, "claim.after_commit", CONTROL="no fence")
    assert stage.effects(job) == 2


def test_a_dispatcher_that_stands_still_while_it_picks_holds_nobody_up(stage: Stage) -> None:
    stage.unit()
    paused = stage.dispatcher(fault="dispatch.before_commit:stop")
    jobs = stage.submit(3)
    stage.until_spent()
    until(lambda: state_of(paused.pid) == "T", "the dispatcher to stand still")
    stage.dispatcher()
    stage.assert_each_effect_once(jobs)
    paused.send_signal(signal.SIGCONT)
    stage.assert_each_effect_once(jobs + stage.submit())


def test_a_dispatcher_that_wakes_before_its_time_is_up_loses_nothing(stage: Stage) -> None:
    stage.unit()
    paused = stage.dispatcher(fault="dispatch.after_commit:stop")
    jobs = stage.submit(3)
    stage.until_spent()
    stage.dispatcher()
    stage.assert_each_effect_once(jobs)
    paused.send_signal(signal.SIGCONT)
    stage.assert_each_effect_once(jobs + stage.submit())
