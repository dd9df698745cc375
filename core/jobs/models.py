"""The job table: queue, outbox, history and dead letters at once, and whose turn it is."""

from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from core.tenancy.models import Access, SharedBase, created_now, new_id

JobStatus = Literal[
    "queued",
    "dispatched",
    "waiting",
    "running",
    "succeeded",
    "failed",
    "cancelled",
    "superseded",
]
STATUSES: tuple[JobStatus, ...] = get_args(JobStatus)
UNFINISHED: tuple[JobStatus, ...] = ("queued", "dispatched", "waiting", "running")
WAITING: tuple[JobStatus, ...] = ("queued", "dispatched")
ENDED: tuple[JobStatus, ...] = ("succeeded", "failed", "cancelled", "superseded")


def standing(status: str) -> str:
    """Answer a status as a sentence goes on with it: is running, has failed."""
    return f"{'has' if status in ('succeeded', 'failed') else 'is'} {status}"


class Job(SharedBase, kw_only=True):
    """One piece of work, of a tenant or of the platform itself (`core.ids.PLATFORM`).

    `attempt` counts claims and only fences; `failures` counts the job's own errors and deaths,
    of which `failures_allowed` end it. `not_before`: earliest dispatch. `deadline_at`: when a
    dispatched job's message is published again, for the `publishes`-th time. `lease_until`:
    until when its worker is taken to be alive. `claimed_as`: a name that its last claim gave
    itself, by which a worker whose answer got lost knows it again. `error`: the problem document
    it ended with. A parent waits for its `parts`, of which `remaining` have not succeeded; each
    part names it.
    """

    __tablename__ = "jobs"
    access = Access(tenant="SELECT, INSERT, UPDATE")
    __table_args__ = (
        CheckConstraint(
            "status IN ('queued', 'dispatched', 'waiting', 'running',"
            " 'succeeded', 'failed', 'cancelled', 'superseded')",
            name="status",
        ),
        Index(
            "uq_jobs_once",
            *("tenant_id", "kind", "key"),
            unique=True,
            postgresql_where=text("uniqueness = 'once' AND status <> 'cancelled'"),
        ),
        Index(
            "uq_jobs_coalesce",
            *("tenant_id", "kind", "key"),
            unique=True,
            postgresql_where=text("uniqueness = 'coalesce' AND status IN ('queued', 'dispatched')"),
        ),
        Index(
            "ix_jobs_queued",
            *("tenant_id", "queue", "not_before", "id"),
            postgresql_where=text("status = 'queued'"),
        ),
        # Few at any time: deadlines and leases are sought among them, and renewing writes no index.
        Index(
            "ix_jobs_in_flight",
            *("queue", "tenant_id"),
            postgresql_where=text("status IN ('dispatched', 'running')"),
        ),
        Index("ix_jobs_listed", "tenant_id", "created_at", "id"),
        Index(
            "ix_jobs_unfinished_parts",
            "parent_id",
            postgresql_where=text(
                "parent_id IS NOT NULL AND status IN ('queued', 'dispatched', 'waiting', 'running')"
            ),
        ),
        Index("ix_jobs_parts", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
        Index("ix_jobs_ended", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    )

    id: Mapped[UUID] = new_id()
    tenant_id: Mapped[UUID]
    kind: Mapped[str]
    queue: Mapped[str]
    uniqueness: Mapped[str | None] = mapped_column(default=None)
    key: Mapped[str | None] = mapped_column(default=None)
    args: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    status: Mapped[str] = mapped_column(server_default="queued", default="queued")
    attempt: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    failures: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    failures_allowed: Mapped[int] = mapped_column(server_default=text("1"), default=1)
    publishes: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    progress: Mapped[float] = mapped_column(server_default=text("0"), default=0.0)
    message: Mapped[str | None] = mapped_column(default=None)
    error: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    parent_id: Mapped[UUID | None] = mapped_column(default=None)
    parts: Mapped[int | None] = mapped_column(default=None)
    remaining: Mapped[int | None] = mapped_column(default=None)
    request_id: Mapped[str | None] = mapped_column(default=None)
    created_by: Mapped[UUID | None] = mapped_column(default=None)
    created_at: Mapped[datetime] = created_now()
    not_before: Mapped[datetime] = created_now()
    deadline_at: Mapped[datetime | None] = mapped_column(default=None)
    lease_until: Mapped[datetime | None] = mapped_column(default=None)
    claimed_as: Mapped[UUID | None] = mapped_column(default=None)
    dispatched_at: Mapped[datetime | None] = mapped_column(default=None)
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)


class Turn(SharedBase, kw_only=True):
    """A tenant's place in the round of one queue: its cap, and when it was last picked from.

    `cap`: jobs in flight at once, None for as many as there are units. `held` by its status or
    `paused` by an operator: nothing of it is dispatched, nothing is lost. Rows are made with the
    tenant, so that submitting a job writes one row and locks none.
    """

    __tablename__ = "turns"
    access = Access(tenant="")

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    queue: Mapped[str] = mapped_column(primary_key=True)
    cap: Mapped[int | None] = mapped_column(default=None)
    held: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    paused: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    last_pick: Mapped[datetime] = created_now()


class Unit(SharedBase, kw_only=True):
    """Units of one supervisor that wait for work of a queue; the dispatcher's window."""

    __tablename__ = "job_units"
    access = Access(tenant="", tenant_column=None)

    id: Mapped[UUID] = new_id()
    queue: Mapped[str] = mapped_column(primary_key=True)
    units: Mapped[int]
    seen_at: Mapped[datetime] = created_now()


class PausedQueue(SharedBase, kw_only=True):
    """A queue of which nothing is dispatched until an operator resumes it."""

    __tablename__ = "paused_queues"
    access = Access(tenant="", tenant_column=None)

    queue: Mapped[str] = mapped_column(primary_key=True)
    paused_at: Mapped[datetime] = created_now()


class Heartbeat(SharedBase, kw_only=True):
    """A dispatcher or scheduler, and when it was last seen alive."""

    __tablename__ = "heartbeats"
    access = Access(tenant="", tenant_column=None)

    id: Mapped[UUID] = new_id()
    program: Mapped[str]
    seen_at: Mapped[datetime] = created_now()
