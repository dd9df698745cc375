"""The audit log's hash chain: what was recorded cannot be changed without breaking it.

digest(n) = SHA-256(digest(n-1) + the bytes of entry n), digest(0) = 32 zero bytes. Each
entry carries its own number. Cutting off the newest entries leaves a whole chain: that is
found with a `Head` that was kept elsewhere.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from core import clock
from core.audit.models import AuditEntry
from core.tenancy.session import PlatformSession, TenantSession

_BEGINNING = bytes(32)
_READ_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a chain: its number and digest; number 0 before the first."""

    number: int
    digest: bytes


def record(
    session: TenantSession | PlatformSession,
    *,
    actor: UUID | None,
    action: str,
    target: str,
    detail: dict[str, Any] | None = None,
    tenant_id: UUID | None = None,
) -> int:
    """Append one entry to the tenant's chain and answer its number.

    Call it last in the transaction of the change: it holds the chain until the commit.
    `actor`: the user, None for the platform itself or somebody unknown. `action`: noun and
    past verb, `member.removed`. `target`: kind and id, `user:<uuid>`. `tenant_id`: needed with
    a PlatformSession.
    """
    owner = _owner(session, tenant_id)
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"audit/{owner}", 0))))
    last = head(session, tenant_id=owner)
    number = last.number + 1
    entry = json.dumps(
        {
            "number": number,
            "at": clock.iso(clock.now()),
            "actor": str(actor) if actor is not None else None,
            "action": action,
            "target": target,
            "detail": detail or {},
        },
        sort_keys=True,
    )
    session.add(
        AuditEntry(tenant_id=owner, number=number, entry=entry, digest=_digest(last.digest, entry))
    )
    session.flush()
    return number


def head(session: TenantSession | PlatformSession, *, tenant_id: UUID | None = None) -> Head:
    """Answer the newest entry's number and digest, to be kept where no database reaches."""
    row = session.execute(
        select(AuditEntry.number, AuditEntry.digest)
        .where(AuditEntry.tenant_id == _owner(session, tenant_id))
        .order_by(AuditEntry.number.desc())
        .limit(1)
    ).one_or_none()
    return Head(row.number, row.digest) if row is not None else Head(0, _BEGINNING)


def verify(
    session: TenantSession | PlatformSession,
    *,
    tenant_id: UUID | None = None,
    kept: Head | None = None,
) -> int | None:
    """Answer the first number at which the chain is broken, None where it is whole.

    `kept`: a head taken earlier, which the chain must still contain.
    """
    statement = (
        select(AuditEntry.number, AuditEntry.entry, AuditEntry.digest)
        .where(AuditEntry.tenant_id == _owner(session, tenant_id))
        .order_by(AuditEntry.number)
        .execution_options(yield_per=_READ_AT_ONCE)
    )
    last = Head(0, _BEGINNING)
    with session.execute(statement) as rows:
        for number, entry, digest in rows:
            expected = last.number + 1
            if number != expected or digest != _digest(last.digest, entry):
                return expected
            last = Head(number, digest)
            if kept is not None and kept.number == number and kept != last:
                return expected
    return last.number + 1 if kept is not None and kept.number > last.number else None


def list_entries(
    session: TenantSession, *, limit: int, before: int | None = None
) -> tuple[list[dict[str, Any]], int, int | None]:
    """Answer entries, newest first, with how many there are and the number to go on `before`.

    An entry: number, at, actor, action, target, detail, digest (hex).
    """
    statement = select(AuditEntry.number, AuditEntry.entry, AuditEntry.digest).where(
        AuditEntry.tenant_id == session.tenant_id
    )
    if before is not None:
        statement = statement.where(AuditEntry.number < before)
    rows = session.execute(statement.order_by(AuditEntry.number.desc()).limit(limit + 1)).all()
    items = [{**json.loads(row.entry), "digest": row.digest.hex()} for row in rows[:limit]]
    return items, head(session).number, rows[limit - 1].number if len(rows) > limit else None


def _digest(previous: bytes, entry: str) -> bytes:
    return hashlib.sha256(previous + entry.encode()).digest()


def _owner(session: TenantSession | PlatformSession, tenant_id: UUID | None) -> UUID:
    owner = session.tenant_id if isinstance(session, TenantSession) else tenant_id
    if owner is None or tenant_id not in {None, owner}:
        raise ValueError("a platform session names the tenant whose chain it means, no other does")
    return owner
