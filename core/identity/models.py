"""People, their memberships, and what proves who they are."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.tenancy.models import Access, SharedBase, Tenant, created_now, new_id


class User(SharedBase, kw_only=True):
    """One person with one mail (lower case) and one password, in any number of tenants.

    `password_hash` None: none is set yet, a one-time link sets it. `credentials_version` rises
    with each change of password, and every token issued before it is void. `is_operator`: may
    run the platform.
    """

    __tablename__ = "users"
    access = Access(tenant="", tenant_column=None)

    id: Mapped[UUID] = new_id()
    email: Mapped[str] = mapped_column(unique=True)
    username: Mapped[str]
    first_name: Mapped[str | None] = mapped_column(default=None)
    last_name: Mapped[str | None] = mapped_column(default=None)
    password_hash: Mapped[str | None] = mapped_column(default=None)
    credentials_version: Mapped[int] = mapped_column(server_default=text("1"), default=1)
    is_operator: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    last_login: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime] = created_now()


class TenantUser(SharedBase, kw_only=True):
    """A membership: what a person may do in a tenant.

    `version` rises with each change of role, permissions or activity, and every token issued
    before it is void. `last_login`: into this tenant; other tenants' are nobody's business here.
    """

    __tablename__ = "tenant_users"
    access = Access(tenant="SELECT")
    __table_args__ = (UniqueConstraint("tenant_id", "user_id"),)

    id: Mapped[UUID] = new_id()
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey(Tenant.id))
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), index=True)
    role: Mapped[str] = mapped_column(server_default="user", default="user")
    permissions: Mapped[list[str]] = mapped_column(
        server_default=text("'[]'"), default_factory=list
    )
    is_active: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    version: Mapped[int] = mapped_column(server_default=text("1"), default=1)
    last_login: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime] = created_now()


class RefreshToken(SharedBase, kw_only=True):
    """A refresh token by its digest; one family per login, of which one is unused at a time.

    Using one twice ends the family: either the person or a thief holds an old one. `access_jti`,
    `access_expires_at`: the access token issued with it, which ends with the family.
    `credentials_version`: the person's at issue; a new password voids the token.
    """

    __tablename__ = "refresh_tokens"
    access = Access(tenant="")

    id: Mapped[UUID] = new_id()
    family_id: Mapped[UUID] = mapped_column(index=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), index=True)
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey(Tenant.id))
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    credentials_version: Mapped[int]
    access_jti: Mapped[UUID] = mapped_column(index=True)
    access_expires_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None] = mapped_column(default=None)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime] = created_now()


class RevokedToken(SharedBase, kw_only=True):
    """An access token that was ended before its time, by its `jti`, until it would expire."""

    __tablename__ = "revoked_tokens"
    access = Access(tenant="", tenant_column=None)

    jti: Mapped[UUID] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class OneTimeLink(SharedBase, kw_only=True):
    """A link that sets a password once, by the digest of its token."""

    __tablename__ = "one_time_links"
    access = Access(tenant="", tenant_column=None)

    id: Mapped[UUID] = new_id()
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime] = created_now()


class Invitation(SharedBase, kw_only=True):
    """A place kept in a tenant for a mail, by the digest of the token that opens it.

    It counts as a user of the plan until it is accepted or expires; one per tenant and mail.
    """

    __tablename__ = "invitations"
    access = Access(tenant="")
    __table_args__ = (UniqueConstraint("tenant_id", "email"),)

    id: Mapped[UUID] = new_id()
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey(Tenant.id))
    email: Mapped[str]
    role: Mapped[str]
    permissions: Mapped[list[str]] = mapped_column(
        server_default=text("'[]'"), default_factory=list
    )
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    invited_by: Mapped[UUID | None] = mapped_column(default=None)
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = created_now()
