"""Where a database stands against this release: both trees, the tenants, who needs a hand."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from core.clock import iso
from core.tenancy.models import Tenant, TenantSchema
from core.wording import counted

AT_HEAD, BEHIND, QUARANTINED = 0, 3, 4
_LONGEST_ERROR = 100


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree's revision in the database, None for none, and this release's head.

    `is_behind`: the database lacks what this release has; not so where it is newer.
    """

    database: str | None
    release: str | None
    is_behind: bool


@dataclass(frozen=True, slots=True)
class Failing:
    """A tenant whose migration failed: how often, with what, and when it is tried again.

    `next_try_at` None: no more, it is quarantined.
    """

    tenant: str
    revision: str
    failures: int
    error: str | None
    failed_at: str
    next_try_at: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """Where both trees and the tenants stand; `target` is the revision that tenants go to."""

    shared: Tree
    tenant: Tree
    target: str | None
    tenants: dict[str, int]
    waiting: list[Failing]
    quarantined: list[Failing]

    @property
    def behind(self) -> int:
        """How many tenants are not at the target, the quarantined ones among them."""
        return sum(count for revision, count in self.tenants.items() if revision != self.target)

    @property
    def exit_status(self) -> int:
        """0: all at the head; 3: something is behind; 4: a tenant is quarantined."""
        if self.quarantined:
            return QUARANTINED
        old = self.shared.is_behind or self.tenant.is_behind
        return BEHIND if self.behind or old else AT_HEAD


def tenants_by_revision(connection: Connection) -> dict[str, int]:
    """Count the tenants at each revision."""
    counted = select(TenantSchema.revision, func.count()).group_by(TenantSchema.revision)
    return dict(connection.execute(counted.order_by(TenantSchema.revision)).all())


def failing_tenants(connection: Connection) -> list[Failing]:
    """Answer the tenants whose last migration failed, by name."""
    failed = (
        select(TenantSchema, Tenant.subdomain)
        .outerjoin(Tenant, Tenant.id == TenantSchema.tenant_id)
        .where(TenantSchema.failures > 0)
        .order_by(Tenant.subdomain, TenantSchema.tenant_id)
    )
    return [_failing(row) for row in connection.execute(failed)]


def _failing(row: Any) -> Failing:
    waits: datetime | None = None if row.quarantined_at else row.not_before
    return Failing(
        tenant=row.subdomain or str(row.tenant_id),
        revision=row.revision,
        failures=row.failures,
        error=row.error,
        failed_at=iso(row.updated_at),
        next_try_at=iso(waits) if waits else None,
    )


def as_json(status: Status) -> str:
    """Write a status for programs."""
    document = asdict(status) | {"behind": status.behind, "exit_status": status.exit_status}
    return json.dumps(document, indent=2)


def as_text(status: Status) -> str:
    """Write a status for people: a table for each of its parts that has something to say."""
    trees = [
        (name, tree.database or "none", tree.release or "none")
        for name, tree in (("shared", status.shared), ("tenant", status.tenant))
    ]
    revisions = [
        (revision, str(count), "head" if revision == status.target else "behind")
        for revision, count in status.tenants.items()
    ]
    parts = [_table(("tree", "database", "this release"), trees)]
    if revisions:
        parts.append(_table(("revision", "tenants", ""), revisions))
    for title, failing in (("tried again", status.waiting), ("quarantined", status.quarantined)):
        if failing:
            names = (title, "revision", "tries", "last try", "next try", "error")
            parts.append(_table(names, [_line(each) for each in failing]))
    return "\n\n".join([*parts, verdict(status)])


def verdict(status: Status) -> str:
    """Say in a sentence or two how the tenants fare, and what to do."""
    if count := len(status.quarantined):
        return (
            f"{counted(count, 'tenant')} quarantined: left alone after so many failures, with an "
            "old schema. Mend what the error names, then: neozork migrate --retry-quarantined"
        )
    if status.behind:
        return f"{counted(status.behind, 'tenant')} behind; the scheduler has that tried again."
    if status.exit_status == BEHIND:
        return "The database is behind this release: neozork migrate"
    return f"At the head: all, {counted(sum(status.tenants.values()), 'tenant')}."


def _line(failing: Failing) -> tuple[str, ...]:
    error = " ".join((failing.error or "").split())
    return (
        failing.tenant,
        failing.revision,
        str(failing.failures),
        failing.failed_at[:19],
        (failing.next_try_at or "never")[:19],
        error if len(error) <= _LONGEST_ERROR else f"{error[: _LONGEST_ERROR - 1]}…",
    )


def _table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (names, *rows)
    ]
    return "\n".join(lines)
