"""Idempotency keys: a creating request that comes twice is done once, for a day.

The answer is kept in the transaction of the change, so that one cannot stand without the other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from core.errors import ConflictError, InvalidInputError
from core.tenancy.models import Access, SharedBase, created_now
from core.tenancy.session import TenantSession, open_platform_session

KEPT = timedelta(hours=24)


class IdempotencyKey(SharedBase, kw_only=True):
    """A creating request by tenant, user, route and key, with what it was answered."""

    __tablename__ = "idempotency_keys"
    access = Access(tenant="SELECT, INSERT, UPDATE")

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_digest: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = created_now()


@dataclass(frozen=True, slots=True)
class Request:
    """A creating request as it is told from others; `body_digest` from its repetition."""

    user_id: UUID
    route: str
    key: str
    body_digest: bytes


def earlier_answer(session: TenantSession, request: Request) -> dict[str, Any] | None:
    """Answer what this request was answered before, None where it is new.

    Holds the request for this transaction. Raises ConflictError while its twin is in flight,
    InvalidInputError where the key came with another body.
    """
    name = f"{session.tenant_id}/{request.user_id}/{request.route}/{request.key}"
    lock = select(func.pg_try_advisory_xact_lock(func.hashtextextended(name, 0)))
    if not session.scalar(lock):
        raise ConflictError(
            "A request with this Idempotency-Key is being answered. Try again in a moment.",
            code="idempotency_in_flight",
        )
    kept = session.execute(
        select(IdempotencyKey.body_digest, IdempotencyKey.answer).where(
            *_is(session, request),
            IdempotencyKey.created_at > func.now() - KEPT,
        )
    ).one_or_none()
    if kept is None:
        return None
    if kept.body_digest != request.body_digest:
        raise InvalidInputError(
            "This Idempotency-Key came with another body before. Take a new key for a new request.",
            code="idempotency_key_reused",
        )
    answer: dict[str, Any] = kept.answer
    return answer


def keep_answer(session: TenantSession, request: Request, answer: dict[str, Any]) -> None:
    """Keep what a new request is answered, with its change."""
    values = {"body_digest": request.body_digest, "answer": answer, "created_at": func.now()}
    session.execute(
        insert(IdempotencyKey)
        .values(
            tenant_id=session.tenant_id,
            user_id=request.user_id,
            route=request.route,
            key=request.key,
            **values,
        )
        .on_conflict_do_update(index_elements=["tenant_id", "user_id", "route", "key"], set_=values)
    )


def forget_answers() -> None:
    """Delete the answers that are kept no longer, of all tenants."""
    with open_platform_session() as session:
        session.execute(
            delete(IdempotencyKey).where(IdempotencyKey.created_at <= func.now() - KEPT)
        )


def _is(session: TenantSession, request: Request) -> tuple[Any, ...]:
    return (
        IdempotencyKey.tenant_id == session.tenant_id,
        IdempotencyKey.user_id == request.user_id,
        IdempotencyKey.route == request.route,
        IdempotencyKey.key == request.key,
    )
