"""The audit log: append-only, one hash chain per tenant over the bytes as they are stored."""

from uuid import UUID

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from core.tenancy.models import Access, SharedBase


class AuditEntry(SharedBase, kw_only=True):
    """One change, numbered from 1 within the tenant without gaps.

    `entry`: JSON text, hashed as it stands. `digest`: SHA-256 of the digest before it and of
    this text.
    """

    __tablename__ = "audit_entries"
    access = Access(tenant="SELECT, INSERT", platform="SELECT, INSERT")

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    entry: Mapped[str]
    digest: Mapped[bytes] = mapped_column(LargeBinary)
