"""SIGKILL of the real process before and after every commit of the job protocol."""

import signal
import subprocess
from uuid import UUID

import pytest

from tests.faults.stage import Stage
from tests.faults.startup.fail_points import POINTS
from tests.programs import until

pytestmark = pytest.mark.xdist_group("faults")
JOBS = 3


def points_of(*operations: str) -> list[str]:
    return [point for point in POINTS if point.split(".")[0] in operations]


def until_killed(process: "subprocess.Popen[bytes]") -> None:
    until(lambda: process.poll() is not None, "the process to be killed")
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("point", points_of("claim", "finish"))
def test_a_unit_killed_there_leaves_each_effect_once(stage: Stage, point: str) -> None:
    stage.dispatcher()
    killed = stage.unit(fault=f"{point}:kill:2")
    jobs = stage.submit(JOBS)
    until_killed(killed)
    stage.unit()
    stage.assert_each_effect_once(jobs)


@pytest.mark.parametrize("point", points_of("dispatch"))
def test_a_dispatcher_killed_there_leaves_each_effect_once(stage: Stage, point: str) -> None:
    stage.unit()
    killed = stage.dispatcher(fault=f"{point}:kill")
    jobs = stage.submit(JOBS)
    until_killed(killed)
    stage.dispatcher()
    stage.assert_each_effect_once(jobs)


def test_a_submission_killed_before_its_commit_never_existed(stage: Stage) -> None:
    killed = stage.start("submit_one", str(stage.tenant), fault="submit.before_commit:kill")
    until_killed(killed)
    assert stage.statuses() == []


def test_a_submission_killed_after_its_commit_is_done(stage: Stage) -> None:
    stage.dispatcher()
    stage.unit()
    killed = stage.start("submit_one", str(stage.tenant), fault="submit.after_commit:kill")
    until_killed(killed)
    (job,) = stage.column("SELECT id FROM neozork.jobs")
    stage.assert_each_effect_once([UUID(str(job))])


def test_what_a_submitter_was_told_is_done(stage: Stage) -> None:
    stage.dispatcher()
    stage.unit()
    told = stage.start("submit_one", str(stage.tenant), output=subprocess.PIPE)
    answer, _ = told.communicate()
    stage.assert_each_effect_once([UUID(answer.decode().strip())])
