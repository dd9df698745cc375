"""Jobs whose effects can be counted: not idempotent, so that doing one twice shows."""

import ctypes
import os

import dramatiq
from sqlalchemy import text

from core.jobs.broker import get_broker
from core.jobs.kinds import KINDS, Kind
from core.jobs.running import RunningJob
from core.plans import Queue
from core.tenancy.session import open_session
from workers.perform import perform

QUEUE = "money"
QUIET_QUEUE = "bulk"


def _kind(name: str, *, queue: Queue = QUEUE, function: str | None = None) -> Kind:
    return Kind(
        name=f"faults.{name}",
        queue=queue,
        function=f"fault_kinds:write_{function or name}",
        failures_allowed=5,
        time_limit_s=60,
        memory_limit_mb=256,
    )


EFFECT = _kind("effect")
DEAF = _kind("deaf")
QUIET = _kind("quiet", queue=QUIET_QUEUE, function="effect")
GREEDY = _kind("greedy")
ALL = (EFFECT, DEAF, QUIET, GREEDY)
_START = text("INSERT INTO faults.starts VALUES (:job, :attempt, :pid)")
_EFFECT = text("INSERT INTO faults.effects VALUES (:job, :attempt, :pid)")


def write_effect(job: RunningJob) -> None:
    """Write one effect with the job's end."""
    with job.finishing() as session:
        session.execute(_EFFECT, _facts(job))


def write_deaf(job: RunningJob) -> None:
    """Spend `seconds` in native code, which hears no exception; then write one effect."""
    with open_session(job.tenant_id) as session:
        session.execute(_START, _facts(job))
    ctypes.CDLL(None).usleep(int(job.args["seconds"] * 1e6))
    write_effect(job)


def write_greedy(job: RunningJob) -> None:
    """Take more memory than the kind may; an effect shows that nobody minded."""
    bytearray(2 * GREEDY.memory_limit_mb << 20)
    write_effect(job)


def register() -> None:
    """Make the kinds known to this process, with an actor each."""
    for kind in ALL:
        KINDS[kind.name] = kind
        dramatiq.actor(
            _performer(kind), broker=get_broker(), actor_name=kind.name, queue_name=kind.queue
        )


def _performer(kind: Kind) -> object:
    def actor(tenant_id: str, job_id: str) -> None:
        perform(kind, tenant_id, job_id)

    return actor


def _facts(job: RunningJob) -> dict[str, object]:
    return {"job": job.claim.id, "attempt": job.claim.attempt, "pid": os.getpid()}
