"""What a tenant's listeners believe of its unfinished jobs, and how it is made true again.

Beside the stream lies the view: job id → `attempt status number`, written by the call that
appends the event. So a process that looks at the table finds every event that was lost, whoever
lost it, and announces it anew to everybody: a stream that is tended lacks nothing for longer
than two looks are apart. Who resumes needs a view that was there when they left; it is kept
for a while after the last listener has gone.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from redis import RedisError
from sqlalchemy import case, func, select

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
    text_of,
    told_status,
)
from core.jobs.models import UNFINISHED, Job
from core.tenancy.session import TenantSession, open_session
from core.valkey import get_valkey

_KEPT_FOR_MS = 600_000
# An ended job is remembered so long, so that what its worker says late is not told.
_LATE_MS = 10_000
_MOVED_ONE_BY_ONE = 100
_SINCE, _FILLING = "since", "filling"

# Opened anew it knows nothing of what was told before: an event says so to all who listen.
_OPEN = """
    local stream, epoch_key, view = unpack(KEYS)
    local fresh, view_life, kept, stream_life, whole = unpack(ARGV)
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
    local told = whole == '1' and redis.call('HGETALL', view) or {}
    return {epoch, newest and newest[1] or '0-0', redis.call('HEXISTS', view, 'filling'), told}
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
# Of parts nobody is told. One value, for a tenant may have very many: `{id: "attempt status"}`.
_STANDS = select(
    func.json_object_agg(
        Job.id,
        func.concat(
            Job.attempt, " ", case((Job.status == "dispatched", "queued"), else_=Job.status)
        ),
    )
).where(Job.status.in_(UNFINISHED), Job.parent_id.is_(None))


def snapshot(tenant_id: UUID) -> tuple[Position, list[dict[str, Any]]]:
    """Answer unfinished jobs as they are published, oldest first, and the place before them.

    Whoever is told these, and then every event after the place, knows of them what the table says.
    """
    place, filling, _ = _open_view(tenant_id)
    with open_session(tenant_id) as session:
        # Before the jobs: what changes in between and is not told differs from the view then.
        whole = _stands(session) if filling else None
        jobs = unfinished_jobs(session)
    if whole is not None:
        _fill(tenant_id, whole)
    elif stands := {str(job.id): _state(job) for job in jobs}:
        told = get_valkey().hmget(stream_keys(tenant_id)[2], list(stands))
        known = zip(stands, told, strict=True)
        _announce_lost(tenant_id, stands, {job: text_of(one) for job, one in known if one})
    return place, [job_document(job) for job in jobs]


def tend(tenant_id: UUID) -> Position:
    """Announce again what was lost of the tenant's jobs; answer the place before that."""
    place, filling, told = _open_view(tenant_id, whole=True)
    with open_session(tenant_id) as session:
        stands = _stands(session)
    if filling:
        _fill(tenant_id, stands)
        return place
    del told[_SINCE]
    believed = {job for job, state in told.items() if not _ended(state)}
    _announce_lost(tenant_id, dict.fromkeys(believed, "") | stands, told)
    _forget_ended(tenant_id, place, told)
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


def _open_view(tenant_id: UUID, *, whole: bool = False) -> tuple[Position, bool, dict[str, str]]:
    """Answer the place, whether the view is new and wants to be filled, and the `whole` of it."""
    arguments = [fresh_epoch(), _KEPT_FOR_MS, KEPT, KEPT_FOR_MS, int(whole)]
    epoch, number, filling, flat = run_script(_OPEN, stream_keys(tenant_id), arguments)
    texts = [text.decode() for text in flat]
    told = dict(zip(texts[::2], texts[1::2], strict=True))
    return at(epoch.decode(), number), bool(filling), told


def _stands(session: TenantSession) -> dict[str, str]:
    return session.scalar(_STANDS.where(Job.tenant_id == session.tenant_id)) or {}


def _fill(tenant_id: UUID, stands: dict[str, str]) -> None:
    filled = [part for job, state in stands.items() for part in (job, f"{state} 0-0")]
    run_script(_FILL, stream_keys(tenant_id), filled)


def _announce_lost(tenant_id: UUID, stands: dict[str, str], told: dict[str, str]) -> None:
    """Announce anew the jobs of which was told something else than how they stand."""
    lost = {
        UUID(job) for job, state in stands.items() if _without_number(told.get(job, "")) != state
    }
    if not lost:
        return
    with open_session(tenant_id) as session:
        jobs = jobs_by_id(session, lost)
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


def _state(job: Job) -> str:
    return f"{job.attempt} {told_status(job.status)}"


def _without_number(state: str) -> str:
    return state.rpartition(" ")[0]


def _ended(state: str) -> bool:
    return state.split()[1] not in UNFINISHED
