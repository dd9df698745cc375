"""Schedulers together, killed, stopped, and with wrong clocks: each period once, none lost."""

import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from core.identity.trials import enqueue_ended_trials
from core.jobs.kinds import END_TRIAL, RECONCILE_TURNS
from tests.faults.stage import Stage, state_of, stopped
from tests.programs import until

pytestmark = pytest.mark.xdist_group("faults")
PERIOD = timedelta(seconds=1)
HOUR_S = 3_600


def scheduler(stage: Stage, **more: str) -> "subprocess.Popen[bytes]":
    return stage.start("scheduler.main", **more)


def periods(stage: Stage) -> list[datetime]:
    query = "SELECT key FROM neozork.jobs WHERE kind = %s ORDER BY key"
    return [datetime.fromisoformat(str(key)) for key in stage.column(query, RECONCILE_TURNS.name)]


def until_more(stage: Stage, count: int = 2) -> None:
    """Wait for periods that begin from now on."""
    since = datetime.now(UTC)
    until(
        lambda: sum(period > since for period in periods(stage)) >= count,
        f"{count} periods that begin after {since}",
    )


@pytest.fixture
def each_once(stage: Stage) -> Iterator[Stage]:
    """At the end no period is there twice, none between the first and the last is missing."""
    yield stage
    begun = periods(stage)
    assert {later - one for one, later in pairwise(begun)} == {PERIOD}, begun
    # By the database's clock, whatever the schedulers' own say.
    assert datetime.now(UTC) - begun[0] < timedelta(minutes=30)
    assert begun[-1] - datetime.now(UTC) < timedelta(minutes=30)


def test_three_at_once_and_one_killed_and_started_again(each_once: Stage) -> None:
    killed, *_ = [scheduler(each_once) for _ in range(3)]
    until_more(each_once)
    killed.kill()
    killed.wait()
    until_more(each_once)
    scheduler(each_once)
    until_more(each_once)


def test_all_killed_and_started_again_make_good_what_passed(each_once: Stage) -> None:
    killed = scheduler(each_once)
    until_more(each_once)
    killed.kill()
    killed.wait()
    last = periods(each_once)[-1]
    until(lambda: datetime.now(UTC) > last + 4 * PERIOD, "some periods to pass")
    scheduler(each_once)
    until_more(each_once)


def test_one_that_was_stopped_and_wakes_queues_nothing_twice(each_once: Stage) -> None:
    still = scheduler(each_once)
    until_more(each_once)
    with stopped(still):
        until(lambda: state_of(still.pid) == "T", "the scheduler to stand still")
        other = scheduler(each_once)
        until_more(each_once, 3)
    other.kill()
    other.wait()
    until_more(each_once)


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S])
def test_one_whose_clock_is_wrong_keeps_the_databases_time(each_once: Stage, ahead_s: int) -> None:
    scheduler(each_once)
    until_more(each_once, 1)
    scheduler(each_once, CLOCK_AHEAD_S=str(ahead_s))
    until_more(each_once, 3)


@pytest.mark.parametrize("set_by_s", [HOUR_S, -HOUR_S])
def test_one_whose_clock_is_set_goes_on_at_once(each_once: Stage, set_by_s: int) -> None:
    alone = scheduler(each_once, CLOCK_SET_BY_S=str(set_by_s))
    until_more(each_once)
    alone.send_signal(signal.SIGUSR1)
    until_more(each_once, 3)


def test_a_trial_that_ends_is_queued_once_by_three(stage: Stage) -> None:
    for _ in range(3):
        scheduler(stage)
    until(lambda: periods(stage), "the schedulers to tick")
    stage.look.execute(
        "UPDATE neozork.tenants SET status = 'trialing', trial_ends_at = now() WHERE id = %s",
        [stage.tenant],
    )
    query = "SELECT count(*) FROM neozork.jobs WHERE kind = %s AND key = %s"
    until(lambda: stage.column(query, END_TRIAL.name, str(stage.tenant)) == [1], "the job")
    enqueue_ended_trials()
    until_more(stage)
    assert stage.column(query, END_TRIAL.name, str(stage.tenant)) == [1]
