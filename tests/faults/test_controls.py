"""Without one of its protections the platform breaks a law, and the checker says which."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from core.jobs.broker import count_messages
from core.valkey import get_valkey
from tests.faults import laws
from tests.faults.stage import Stage, overtaken_and_woken, stopped
from tests.faults.startup.fault_kinds import QUEUE
from tests.programs import until

pytestmark = pytest.mark.xdist_group("faults")


def looking(stage: Stage, query: str, *values: object) -> list[tuple[Any, ...]]:
    return stage.look.execute(query, values).fetchall()


def test_without_the_fence_a_woken_worker_doubles_the_effect(stage: Stage) -> None:
    rows = partial(looking, stage)
    job = overtaken_and_woken(stage, "claim.after_commit", CONTROL="no fence")
    assert laws.doubled(rows) == [f"doubled: {job} has 2 effects"]


@pytest.mark.parametrize("control", ["no deadline", ""])
def test_without_the_deadline_a_message_that_got_lost_leaves_its_job_stuck(
    stage: Stage, control: str
) -> None:
    rows = partial(looking, stage)
    stage.unit()
    killed = stage.dispatcher(fault="dispatch.after_commit:kill", CONTROL=control)
    (job,) = stage.submit()
    killed.wait()
    assert stage.job(job, "status") == "dispatched"
    stage.dispatcher(CONTROL=control)
    until(lambda: stage.column("SELECT now() > deadline_at FROM neozork.jobs"), "the deadline")
    (later,) = stage.submit()
    until(lambda: stage.effects(later), "a later job to be done")
    if control:
        ((now,),) = rows("SELECT clock_timestamp()")
        (breach,) = laws.stuck(rows, now)
        assert str(job) in breach
        assert len(laws.lost(rows, {job: "succeeded", later: "succeeded"})) == 1
    else:
        stage.until_all_succeeded()
        assert not laws.lost(rows, {job: "succeeded", later: "succeeded"})


@pytest.mark.parametrize("control", ["no epoch", ""])
def test_without_the_epoch_a_flush_is_not_made_good_in_time(stage: Stage, control: str) -> None:
    rows = partial(looking, stage)
    unit = stage.unit()
    # Far away, so that nothing but the epoch tells of the flush.
    stage.dispatcher(CONTROL=control, DEADLINE_S="600")
    stage.assert_each_effect_once(stage.submit())
    with stopped(unit):
        jobs = stage.submit(3)
        until(lambda: count_messages(QUEUE) >= 2, "messages to wait")
        ((since,),) = rows("SELECT clock_timestamp()")
        get_valkey().flushdb()
    if control:
        past = since + timedelta(seconds=laws.FLUSH_MADE_GOOD_WITHIN_S)
        until(lambda: rows("SELECT clock_timestamp() > %s", past) == [(True,)], "two seconds")
        assert laws.late_after_flush(rows, jobs, since)
    else:
        stage.assert_each_effect_once(jobs)
        assert laws.slowest_start_s(rows, jobs, since) < float("inf")
