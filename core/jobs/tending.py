"""What a tenant's listeners believe of its unfinished jobs, and how it is made true again.

Beside the stream lies the view: job id → `attempt status number`, written by the call that
appends the event. So a process that looks at the table finds every event that was lost, whoever
lost it, and announces it anew to everybody: a stream that is tended lacks nothing for longer
than two looks are apart. Who resumes needs a view that was there when they left; it is kept
for a while after the last listener has gone.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from redis import RedisError
from sqlalchemy import Row, select

from core.jobs.control import announce_job, job_document, jobs_by_id, unfinished_jobs
from core.jobs.events import (
    KEPT,
    KEPT_FOR_MS,
    Event,
    Position,
    announce_anew,
    at,
    events_since,
    fresh_epoch,
    run_script,
    stream_keys,
    told_status,
)
from core.jobs.models import UNFINISHED, Job
from core.tenancy.session import open_session
from core.valkey import get_valkey

_KEPT_FOR_MS = 600_000
# An ended job is remembered so long, so that what its worker says late is not told.
_LATE_MS = 10_000
_MOVED_ONE_BY_ONE = 100
_SINCE, _FILLING = "since", "filling"

# Opened anew it knows nothing of what was told before: an event says so to all who listen.
_OPEN = """
    local stream, epoch_key, view = unpack(KEYS)
    local fresh, view_life, kept, stream_life = unpack(ARGV)
    local epoch = redis.call('GET', epoch_key)
    if not epoch then
        epoch = fresh
        redis.call('SET', epoch_key, epoch)
    end
    if redis.call('EXISTS', view) == 0 then
        local since = redis.call(
            'XADD', stream, 'MAXLEN', '~', kept, '*', 'name', 'view', 'data', '{}')
        redis.call('PEXPIRE', stream, stream_life)
        redis.call('HSET', view, 'since', since, 'filling', 1)
        redis.call('PUBLISH', stream, cjson.encode({epoch, since, 'view', '{}'}))
    end
    redis.call('PEXPIRE', view, view_life)
    local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
    return {epoch, newest and newest[1] or '0-0', redis.call('HGETALL', view)}
"""
# What was announced since the view was opened is newer than the rows that fill it.
_FILL = """
    if redis.call('HDEL', KEYS[3], 'filling') == 0 then return end
    for i = 1, #ARGV, 2 do redis.call('HSETNX', KEYS[3], ARGV[i], ARGV[i + 1]) end
"""
_FORGET = """
    for i = 1, #ARGV, 2 do
        if redis.call('HGET', KEYS[3], ARGV[i]) == ARGV[i + 1] then
            redis.call('HDEL', KEYS[3], ARGV[i])
        end
    end
"""
# Of parts nobody is told.
_ROWS = select(Job.id, Job.attempt, Job.status).where(
    Job.status.in_(UNFINISHED), Job.parent_id.is_(None)
)


def snapshot(tenant_id: UUID) -> tuple[Position, list[dict[str, Any]]]:
    """Answer the unfinished jobs as they are published, oldest first, and the place before them.

    Whoever is told these, and then every event after the place, knows what the table says.
    """
    place, told = _open_view(tenant_id)
    with open_session(tenant_id) as session:
        jobs = unfinished_jobs(session)
    _mend(tenant_id, place, told, jobs)
    return place, [job_document(job) for job in jobs]


def tend(tenant_id: UUID) -> Position:
    """Announce again what was lost of the tenant's jobs; answer the place before that."""
    place, told = _open_view(tenant_id)
    with open_session(tenant_id) as session:
        jobs = session.execute(_ROWS.where(Job.tenant_id == tenant_id)).all()
    _mend(tenant_id, place, told, jobs)
    return place


def resume(tenant_id: UUID, event_id: str) -> list[Event] | None:
    """Answer the events after an id that a listener has seen; None where it must begin anew.

    It must where the id is unknown or trimmed, or where nobody has tended the view since.
    """
    seen = Position.parse(event_id)
    if seen is None:
        return None
    since, filling = get_valkey().hmget(stream_keys(tenant_id)[2], _SINCE, _FILLING)
    if since is None or filling or seen.number < at(seen.epoch, since).number:
        return None
    return events_since(tenant_id, seen)


def announce_moved(jobs: Sequence[Job]) -> None:
    """Tell the listeners of jobs that were moved together; of very many, to begin anew."""
    moved = Counter(job.tenant_id for job in jobs)
    for job in jobs:
        if moved[job.tenant_id] <= _MOVED_ONE_BY_ONE:
            announce_job(job)
    for tenant_id, count in moved.items():
        with suppress(RedisError):
            if count > _MOVED_ONE_BY_ONE and get_valkey().delete(stream_keys(tenant_id)[2]):
                _open_view(tenant_id)


def _open_view(tenant_id: UUID) -> tuple[Position, dict[str, str]]:
    epoch, number, flat = run_script(
        _OPEN, stream_keys(tenant_id), [fresh_epoch(), _KEPT_FOR_MS, KEPT, KEPT_FOR_MS]
    )
    texts = [text.decode() for text in flat]
    return at(epoch.decode(), number), dict(zip(texts[::2], texts[1::2], strict=True))


def _mend(
    tenant_id: UUID,
    place: Position,
    told: dict[str, str],
    jobs: Sequence[Job] | Sequence[Row[UUID, int, str]],
) -> None:
    del told[_SINCE]
    stands = {str(job.id): _state(job) for job in jobs}
    if told.pop(_FILLING, None):
        filled = [part for job, state in stands.items() for part in (job, f"{state} 0-0")]
        run_script(_FILL, stream_keys(tenant_id), filled)
        return
    lost = [job for job, state in stands.items() if _without_number(told.get(job, "")) != state]
    lost += [job for job, state in told.items() if job not in stands and not _ended(state)]
    if lost:
        _announce_lost(tenant_id, lost, told)
    _forget_ended(tenant_id, place, told)


def _announce_lost(tenant_id: UUID, lost: Iterable[str], told: dict[str, str]) -> None:
    with open_session(tenant_id) as session:
        jobs = jobs_by_id(session, {UUID(job) for job in lost})
    for job in jobs:
        known = told.get(str(job.id), "")
        if _without_number(known) != _state(job):
            announce_anew(tenant_id, job_document(job), instead_of=known)


def _forget_ended(tenant_id: UUID, place: Position, told: dict[str, str]) -> None:
    long_ago = place.number[0] - _LATE_MS
    old = [
        part
        for job, state in told.items()
        if _ended(state) and int(state.split()[2].partition("-")[0]) < long_ago
        for part in (job, state)
    ]
    if old:
        run_script(_FORGET, stream_keys(tenant_id), old)


def _state(job: Job | Row[UUID, int, str]) -> str:
    return f"{job.attempt} {told_status(job.status)}"


def _without_number(state: str) -> str:
    return state.rpartition(" ")[0]


def _ended(state: str) -> bool:
    return state.split()[1] not in UNFINISHED
