"""A real unit that also knows a job which does nothing: `python benchmarks/jobs_unit.py QUEUE`."""

import sys

import dramatiq

from core.jobs.broker import get_broker
from core.jobs.kinds import KINDS, Kind
from core.jobs.running import RunningJob
from workers import unit
from workers.perform import perform

NOTHING = Kind(
    name="bench.nothing",
    queue="interactive",
    function="jobs_unit:do_nothing",
    failures_allowed=3,
    time_limit_s=60,
    memory_limit_mb=256,
)


def do_nothing(job: RunningJob) -> None:
    with job.finishing():
        pass


def install() -> None:
    KINDS[NOTHING.name] = NOTHING

    @dramatiq.actor(broker=get_broker(), actor_name=NOTHING.name, queue_name=NOTHING.queue)
    def nothing(tenant_id: str, job_id: str) -> None:
        perform(NOTHING, tenant_id, job_id)


if __name__ == "__main__":
    sys.modules["jobs_unit"] = sys.modules["__main__"]
    install()
    sys.exit(unit.main(sys.argv[1]))
