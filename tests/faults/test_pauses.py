"""A worker that stands still past its lease, and wakes when another has done its job."""

import signal

import pytest

from tests.faults.stage import Stage, overtaken_and_woken, state_of
from tests.programs import until

pytestmark = pytest.mark.xdist_group("faults")


@pytest.mark.parametrize("point", ["claim.after_commit", "finish.before_commit"])
def test_a_woken_worker_writes_nothing(stage: Stage, point: str) -> None:
    job = overtaken_and_woken(stage, point)
    assert stage.effects(job) == 1
    assert stage.job(job, "attempt") == 2


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
