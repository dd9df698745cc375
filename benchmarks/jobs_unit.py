"""A real unit that also knows jobs which do nothing: `python benchmarks/jobs_unit.py QUEUE`."""

import sys
import time
from collections.abc import Callable
from dataclasses import replace

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


NAP_S = 0.02
NAPPING = replace(NOTHING, name="bench.napping", function="jobs_unit:nap")
KINDS_HERE = (NOTHING, NAPPING)


def nap(job: RunningJob) -> None:
    time.sleep(NAP_S)
    with job.finishing():
        pass


def do_nothing(job: RunningJob) -> None:
    with job.finishing():
        pass


def install() -> None:
    for kind in KINDS_HERE:
        KINDS[kind.name] = kind
        dramatiq.actor(
            _performer(kind), broker=get_broker(), actor_name=kind.name, queue_name=kind.queue
        )


def _performer(kind: Kind) -> Callable[[str, str], None]:
    return lambda tenant_id, job_id: perform(kind, tenant_id, job_id)


if __name__ == "__main__":
    sys.modules["jobs_unit"] = sys.modules["__main__"]
    install()
    sys.exit(unit.main(sys.argv[1]))
