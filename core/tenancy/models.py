"""The two trees of tables, and the tenants themselves.

Tables of `SharedBase` live in the schema `neozork`; tables of `TenantBase` in one schema per
tenant, found through the search path that `open_session` sets. Models live in their features.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import DateTime, Index, MetaData, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

SHARED_SCHEMA = "neozork"
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
_TYPES: dict[Any, Any] = {
    datetime: DateTime(timezone=True),
    UUID: Uuid(),
    dict[str, Any]: JSONB(none_as_null=True),
    list[str]: JSONB(),
}


@dataclass(frozen=True, slots=True)
class Access:
    """What the two roles may do with a table, declared beside its model.

    `tenant`, `platform`: privileges as SQL lists them, empty for none. `tenant_column`: the
    column that must equal the tenant of the current role; None for a table without tenants,
    which a tenant's role may then at most read.
    """

    tenant: str = ""
    platform: str = "SELECT, INSERT, UPDATE, DELETE"
    tenant_column: str | None = "tenant_id"


class SharedBase(MappedAsDataclass, DeclarativeBase, kw_only=True):
    """A table of the shared schema; each declares its `access`."""

    metadata = MetaData(schema=SHARED_SCHEMA, naming_convention=_NAMES)
    type_annotation_map = _TYPES
    access: ClassVar[Access]


class TenantBase(MappedAsDataclass, DeclarativeBase, kw_only=True):
    """A table of every tenant's own schema; the tenant's role may do everything with it."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = _TYPES


def new_id() -> Any:
    """Answer a primary key column of random uuids, made by the server where none is given."""
    return mapped_column(primary_key=True, server_default=func.gen_random_uuid(), default=None)


def created_now() -> Any:
    """Answer a column that holds the time of the row's birth, by the server's clock."""
    return mapped_column(server_default=func.now(), default=None)


class Tenant(SharedBase, kw_only=True):
    """A firm. `subdomain` is its slug; `domain` its own host name, where it has one.

    `status`: provisioning → trialing → active | suspended; `trial_ends_at` while trialing.
    `registration_open` lets people join without an invitation, from `registration_domains`
    alone where that list is not empty.
    """

    __tablename__ = "tenants"
    access = Access(tenant="SELECT", platform="SELECT, INSERT, UPDATE", tenant_column="id")
    __table_args__ = (
        Index("ix_tenants_trial", "trial_ends_at", postgresql_where=text("status = 'trialing'")),
    )

    id: Mapped[UUID] = new_id()
    name: Mapped[str]
    subdomain: Mapped[str] = mapped_column(unique=True)
    domain: Mapped[str | None] = mapped_column(unique=True, default=None)
    status: Mapped[str] = mapped_column(server_default="active", default="active")
    subscription_tier: Mapped[str] = mapped_column(server_default="starter", default="starter")
    stripe_customer_id: Mapped[str | None] = mapped_column(default=None)
    trial_ends_at: Mapped[datetime | None] = mapped_column(default=None)
    registration_open: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    registration_domains: Mapped[list[str]] = mapped_column(
        server_default=text("'[]'"), default_factory=list
    )
    created_at: Mapped[datetime] = created_now()
    updated_at: Mapped[datetime] = mapped_column(
        server_default=func.now(), onupdate=func.now(), default=None
    )


class TenantRelease(SharedBase, kw_only=True):
    """A head of the tenant tree with the script that builds a new schema at it."""

    __tablename__ = "tenant_releases"
    access = Access(tenant="", platform="SELECT", tenant_column=None)

    head: Mapped[str] = mapped_column(primary_key=True)
    script: Mapped[str]
    created_at: Mapped[datetime] = created_now()


class TenantUpgrade(SharedBase, kw_only=True):
    """The script that brings a schema from an earlier revision to a release's head."""

    __tablename__ = "tenant_upgrades"
    access = Access(tenant="", platform="SELECT", tenant_column=None)

    head: Mapped[str] = mapped_column(primary_key=True)
    from_revision: Mapped[str] = mapped_column(primary_key=True)
    script: Mapped[str]


class TenantSchema(SharedBase, kw_only=True):
    """Where each tenant's schema stands in the tenant tree, and how its last migration went.

    `not_before`: when it is tried again after its n-th of `failures`. `quarantined_at`: set
    after too many; the runner then leaves the tenant alone.
    """

    __tablename__ = "tenant_schemas"
    access = Access(tenant="", platform="SELECT")

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    revision: Mapped[str] = mapped_column(index=True)
    failures: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    not_before: Mapped[datetime | None] = mapped_column(default=None)
    quarantined_at: Mapped[datetime | None] = mapped_column(default=None)
    error: Mapped[str | None] = mapped_column(default=None)
    updated_at: Mapped[datetime] = created_now()
