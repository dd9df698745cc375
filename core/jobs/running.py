"""A job while it runs: its heart, its progress, and what becomes of its errors."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any
from uuid import UUID

import sentry_sdk

from core.errors import ConfigurationError, InvalidInputError, NeozorkError, UnavailableError
from core.ids import PLATFORM
from core.jobs import claims
from core.jobs.claims import Claim, FenceLostError
from core.jobs.kinds import KINDS
from core.jobs.memory import limited
from core.jobs.metrics import count_end, count_start
from core.logging import bound, get_logger
from core.tenancy.session import PlatformSession, TenantSession

RENEW_EVERY_S = 3.0
LOOK_EVERY_S = 0.4
GRACE_S = 0.5
FINISH_WITHIN_S = 8.0
LOST_UNIT_EXIT = 75

_ANNOUNCE_EVERY_S = 0.1
_at_work: set["RunningJob"] = set()
log = get_logger(__name__)


class RunningJob:
    """What a job's function gets: its arguments, its tenant, and the way to its end."""

    def __init__(self, taken: Claim) -> None:
        self.claim = taken
        self.args = taken.args
        self.tenant_id = taken.tenant_id
        self.lost = threading.Event()
        self.over = threading.Event()
        self.fraction = 0.0
        self.message: str | None = None
        self.stop_at = time.monotonic() + KINDS[taken.kind].time_limit_s
        self.renewed_at = time.monotonic()
        self.kept: tuple[float, str | None] = (self.fraction, self.message)
        self._announced_at = 0.0

    def checkpoint(self) -> None:
        """Raise FenceLostError where the job was cancelled or lost; call it every 100 ms."""
        if self.lost.is_set():
            raise FenceLostError(f"Job {self.claim.id} was cancelled or given to another worker.")

    def progress(self, fraction: float, message: str) -> None:
        """Tell how far the job is, 0…1, and what it does; also a checkpoint."""
        self.checkpoint()
        new = message != self.message
        self.fraction, self.message = round(fraction, 4), message
        now = time.monotonic()
        if new or now - self._announced_at >= _ANNOUNCE_EVERY_S:
            self._announced_at = now
            claims.announce_status(self.claim, "running", progress=self.fraction, message=message)

    @contextmanager
    def finishing(self) -> Iterator[TenantSession | PlatformSession]:
        """Open the one transaction of the job's effects and its end, behind the fence."""
        with claims.finishing(self.claim) as session:
            yield session
        # First of all, or a Valkey that stands still makes the heart take us for a lost job.
        self.over.set()
        queue = KINDS[self.claim.kind].queue
        claims.announce_status(self.claim, "succeeded", wake=queue, progress=1.0)


def perform(function: Callable[[RunningJob], None], tenant_id: UUID, job_id: UUID) -> None:
    """Claim a job, do it with its heart beating, and record how it ended.

    Nothing is done where there is nothing to claim: a message is only a hint.
    """
    taken = claims.claim(tenant_id, job_id)
    if taken is None:
        return
    context = {
        "job_id": str(job_id),
        "tenant_id": str(tenant_id),
        "kind": taken.kind,
        "attempt": taken.attempt,
        "request_id": taken.request_id,
    }
    with bound(**context):
        log.info("job_started")
        started = time.monotonic()
        count_start(KINDS[taken.kind], taken.waited_s)
        outcome = _run(function, RunningJob(taken))
        seconds = time.monotonic() - started
        count_end(KINDS[taken.kind], outcome, seconds)
        log.info("job_ended", outcome=outcome, seconds=round(seconds, 3))


def give_back_unfinished() -> None:
    """Return to the queue, without blame, what a process that must stop has not finished."""
    for job in tuple(_at_work):
        with suppress(FenceLostError, UnavailableError):
            claims.give_back(job.claim)
            log.info("job_given_back", job_id=str(job.claim.id))


def _run(function: Callable[[RunningJob], None], job: RunningJob) -> str:
    """Do a job and answer the outcome, as metrics name it."""
    _start_heart()
    _at_work.add(job)
    try:
        with limited(KINDS[job.claim.kind].memory_limit_mb):
            function(job)
        if not job.over.is_set():
            with job.finishing():
                pass
    except FenceLostError as error:
        log.info("job_lost", detail=error.detail)
        return "lost"
    except UnavailableError as error:
        log.warning("job_waits_for_service", detail=error.detail)
        return _give_up(job, error.problem(), again=True, absence=True)
    except ConfigurationError as error:
        log.exception("job_misconfigured", detail=error.detail)
        sentry_sdk.capture_exception(error)
        # What it says is for operators alone.
        problem = error.problem() if job.tenant_id == PLATFORM else _crash_problem()
        return _give_up(job, problem, again=False)
    except NeozorkError as error:
        log.warning("job_refused", code=error.instance_code, detail=error.detail)
        return _give_up(job, error.problem(), again=not isinstance(error, InvalidInputError))
    except MemoryError:
        log.warning("job_too_large")
        return _give_up(job, _too_large(job), again=False)
    except Exception as error:
        log.exception("job_crashed")
        sentry_sdk.capture_exception(error)
        return _give_up(job, _crash_problem(), again=True)
    finally:
        _at_work.discard(job)
        job.over.set()
    return "succeeded"


def _give_up(job: RunningJob, problem: dict[str, Any], **how: bool) -> str:
    # As in `finishing`: the heart has no more to do, and must not take us for a lost job.
    job.over.set()
    return _record(job, problem, **how)


def _record(job: RunningJob, problem: dict[str, Any], *, again: bool, absence: bool = False) -> str:
    # Where the database is away, the lease runs out and the dispatcher counts the failure.
    with suppress(FenceLostError, UnavailableError):
        status = claims.fail(job.claim, problem, again=again, absence=absence)
        return "tried_again" if status == "queued" else status
    return "lost"


def _crash_problem() -> dict[str, Any]:
    return NeozorkError(
        "The job stopped on an error of ours, which we have been told about. Try it again; if "
        "it fails again, send us the job's id.",
        code="internal",
    ).problem()


@lru_cache(maxsize=1)
def _start_heart() -> None:
    """Start the process's heart: one thread for all its jobs, for many take less than a beat."""
    threading.Thread(target=_keep_beating, name="heart", daemon=True).start()


def _keep_beating() -> None:
    while True:
        time.sleep(LOOK_EVERY_S)
        for job in tuple(_at_work):
            if not job.over.is_set():
                _beat(job)


def _is_due(job: RunningJob) -> bool:
    """Tell whether the row is to be renewed: it is time, or it shows a progress of before."""
    late = time.monotonic() - job.renewed_at >= RENEW_EVERY_S
    return late or job.kept != (job.fraction, job.message)


def _beat(job: RunningJob) -> None:
    """Renew a running job's lease where it is time; end the unit where it cannot be stopped.

    Native code hears no exception: a job that was cancelled, or runs past its limit, gets
    GRACE_S to reach a checkpoint, then its process ends, which harms no neighbour.
    """
    try:
        if time.monotonic() > job.stop_at:
            _record(job, _too_long(job), again=False)
            job.lost.set()
        elif _is_due(job):
            job.kept = (job.fraction, job.message)
            claims.renew(job.claim, *job.kept)
            job.renewed_at = time.monotonic()
        elif not claims.holds(job.claim):
            job.lost.set()
    except FenceLostError:
        job.lost.set()
    except UnavailableError:
        log.warning("lease_not_renewed")
    except Exception:
        # The heart is all that hears of a cancel or a limit: it must not die of a surprise.
        log.exception("heart_missed_a_beat")
    if job.lost.is_set() and not job.over.wait(GRACE_S):
        log.warning("unit_killed")
        os._exit(LOST_UNIT_EXIT)


def _too_large(job: RunningJob) -> dict[str, Any]:
    limit = KINDS[job.claim.kind].memory_limit_mb
    return NeozorkError(
        f"The job wanted more than the {limit:,} MB of memory that its kind may take. Take fewer "
        "bars or split the work.",
        code="memory_limit",
    ).problem()


def _too_long(job: RunningJob) -> dict[str, Any]:
    limit = KINDS[job.claim.kind].time_limit_s
    return NeozorkError(
        f"The job ran longer than the {limit} s that its kind may take. Take fewer bars or "
        "split the work.",
        code="time_limit",
    ).problem()
