"""The laws, and what breaks them: looked up in the tables, told in words."""

from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

from tests.faults.load import Ledger

Rows = Callable[..., list[tuple[Any, ...]]]
FLUSH_MADE_GOOD_WITHIN_S = 2.0


def stuck(rows: Rows, since: object) -> list[str]:
    """Tell of the jobs that were asked for before a moment and have not ended, promised or not."""
    found = rows(
        "SELECT id, kind, status, attempt, failures, error FROM neozork.jobs WHERE status IN"
        " ('queued', 'dispatched', 'running', 'waiting') AND created_at < %s",
        since,
    )
    return [f"stuck: {row}" for row in found]


def lost(rows: Rows, owed: dict[UUID, str]) -> list[str]:
    """Tell of the jobs that were promised and have no effect, or ended otherwise than promised."""
    found = rows(
        "SELECT j.id, j.kind, j.status, j.attempt, j.failures, j.error, e.effects"
        " FROM unnest(%s::uuid[]) AS asked(id) LEFT JOIN neozork.jobs j USING (id)"
        " LEFT JOIN (SELECT job, count(*) AS effects FROM faults.effects GROUP BY job) e"
        " ON e.job = asked.id",
        list(owed),
    )
    breaches = []
    for job, kind, status, attempt, failures, error, effects in found:
        right = owed.get(job) == status and bool(effects) == (status == "succeeded")
        if not right:
            facts = (kind, status, attempt, failures, error, effects)
            breaches.append(f"lost: {job} {facts}, owed {owed.get(job)}")
    return breaches


def doubled(rows: Rows) -> list[str]:
    """Tell of every job with more than one effect, promised or not."""
    found = rows("SELECT job, count(*) FROM faults.effects GROUP BY job HAVING count(*) > 1")
    return [f"doubled: {job} has {effects} effects" for job, effects in found]


def repeated(rows: Rows, tenant: UUID, schema: str, ledger: Ledger) -> list[str]:
    """Tell of a tenant whose keys made more backtests than it sent keys, or fewer than answers."""
    ((made,),) = rows(f"SELECT count(*) FROM {schema}.backtests")
    asked, taken = ledger.asked[tenant], ledger.taken[tenant]
    right = taken <= made <= asked
    return [] if right else [f"doubled: {asked} keys, {taken} answered, made {made} backtests"]


def strayed(rows: Rows, tenant: UUID, schema: str) -> list[str]:
    """Tell of a tenant's backtests whose job is not its own."""
    found = rows(
        f"SELECT b.id, j.tenant_id FROM {schema}.backtests b LEFT JOIN neozork.jobs j"
        " ON j.id = b.job_id WHERE j.tenant_id IS DISTINCT FROM %s",
        tenant,
    )
    return [f"strayed: {row}" for row in found]


def disturbed(rows: Rows, jobs: Collection[UUID], since: object) -> list[str]:
    """Tell of a neighbour's jobs that a fault of others cost an attempt."""
    found = rows(
        "SELECT id, attempt, failures FROM neozork.jobs"
        " WHERE id = ANY(%s) AND created_at > %s AND (attempt > 1 OR failures > 0)",
        list(jobs),
        since,
    )
    return [f"disturbed: {row}" for row in found]


def slowest_wait_s(rows: Rows, jobs: Collection[UUID], since: object) -> float:
    """Answer the longest that one of some jobs took from its asking to its end."""
    ((seconds,),) = rows(
        "SELECT coalesce(max(extract(epoch FROM finished_at - created_at))::float8, 0)"
        " FROM neozork.jobs WHERE id = ANY(%s) AND created_at > %s",
        list(jobs),
        since,
    )
    return float(seconds)


def slowest_start_s(rows: Rows, jobs: Collection[UUID], since: object) -> float:
    """Answer how long after a moment the last of some jobs was claimed; inf before it is."""
    ((claimed, seconds),) = rows(
        "SELECT count(DISTINCT job), extract(epoch FROM max(at) - %s)::float8"
        " FROM (SELECT job, min(at) AS at FROM faults.claims"
        " WHERE job = ANY(%s) AND at > %s GROUP BY job) AS first",
        since,
        list(jobs),
        since,
    )
    return float(seconds or 0) if claimed == len(jobs) else float("inf")


def late_after_flush(rows: Rows, jobs: Collection[UUID], since: object) -> list[str]:
    """Tell of a flush that took long to be made good."""
    seconds = slowest_start_s(rows, jobs, since)
    late = seconds > FLUSH_MADE_GOOD_WITHIN_S
    return [f"late: a flush was made good after {seconds:.1f} s"] if late else []


def slowest_rescue(rows: Rows, since: object) -> tuple[float, object]:
    """Answer the longest time from a death to the next claim of what was running then, and whose.

    The job's facts: its kind, attempts, failures and how often its message was published.
    """
    found = rows(
        "SELECT extract(epoch FROM b.at - greatest(a.at, %s))::float8 AS waited,"
        " (j.kind, j.attempt, j.failures, j.publishes)::text"
        " FROM faults.claims a JOIN faults.claims b ON b.job = a.job AND b.attempt = a.attempt + 1"
        " JOIN neozork.jobs j ON j.id = a.job WHERE b.at > %s ORDER BY waited DESC LIMIT 1",
        since,
        since,
    )
    return found[0] if found else (0.0, None)
