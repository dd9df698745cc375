"""Which tenant a call is for: every signal that is there must name the same one.

Parsing is pure and says what was named; one query then says whether it exists. Whether the
caller belongs to it is asked by whoever knows the caller.
"""

import ipaddress
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import Select, or_, select

from core.errors import InvalidInputError, NotFoundError
from core.ids import RESERVED_SLUGS, is_slug, parse_uuid
from core.settings import get_settings
from core.tenancy.models import Tenant
from core.tenancy.session import PlatformSession, open_platform_session


@dataclass(frozen=True, slots=True)
class TenantRef:
    """A tenant as a call needs to know it."""

    id: UUID
    slug: str
    status: str
    tier: str


@dataclass(frozen=True, slots=True)
class Signals:
    """What of a call may name its tenant; None or empty where it is silent.

    `host` may carry a port; `path` and `header` are an id or a slug; `token` is the tenant of
    an access token that was checked.
    """

    host: str | None = None
    path: str | None = None
    header: str | None = None
    token: UUID | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """One way of naming a tenant: by its id, its slug, or a host name of its own."""

    kind: Literal["id", "slug", "domain"]
    value: str


def resolve(signals: Signals) -> TenantRef:
    """Answer the tenant that all signals name.

    Raises InvalidInputError, code `tenant_not_specified`, where none names one, and
    NotFoundError where they disagree or the tenant does not exist: the same answer for both.
    """
    names = names_in(signals, get_settings().platform_domain)
    found = _look_up(names) if names else []
    telling = [name for name in names if name.kind != "domain" or _matching(name, found)]
    if not telling:
        raise InvalidInputError(
            "No tenant is named. Use /api/v1/tenants/{tenant}/…, your subdomain, or the header "
            "X-Tenant-ID.",
            code="tenant_not_specified",
        )
    first = _matching(telling[0], found)
    if first is None or any(_matching(name, found) is not first for name in telling):
        raise NotFoundError("There is no such tenant, or it is not yours.", code="tenant_not_found")
    return TenantRef(first.id, first.subdomain, first.status, first.subscription_tier)


def tenant_id_of(session: PlatformSession, name: str) -> UUID:
    """Answer the id of the tenant of a slug or of an id; NotFoundError where there is none."""
    known = parse_uuid(name)
    named = Tenant.subdomain == name.lower() if known is None else Tenant.id == known
    tenant_id: UUID | None = session.scalar(select(Tenant.id).where(named))
    if tenant_id is None:
        raise NotFoundError("There is no such tenant.", code="tenant_not_found")
    return tenant_id


def slugs_of(session: PlatformSession, ids: Collection[UUID]) -> dict[UUID, str]:
    """Answer the slugs of the tenants among these ids."""
    rows = session.execute(select(Tenant.id, Tenant.subdomain).where(Tenant.id.in_(ids)))
    return dict(rows.all())


def names_in(signals: Signals, platform_domain: str) -> tuple[Name, ...]:
    """Answer what the signals name, in the order host, path, header, token.

    A host of the platform itself names nothing; a host that is not ours may be a tenant's own.
    """
    return tuple(_parse(signals, platform_domain))


def _parse(signals: Signals, platform_domain: str) -> Iterator[Name]:
    if signals.host and (name := _name_in_host(signals.host, platform_domain)):
        yield name
    # Spaces around what a header says are no part of it; in a path they are.
    for text in (signals.path, (signals.header or "").strip()):
        if text:
            yield _name_in_text(text)
    if signals.token is not None:
        yield Name("id", str(signals.token))


def _name_in_text(text: str) -> Name:
    tenant_id = parse_uuid(text)
    return Name("id", str(tenant_id)) if tenant_id is not None else Name("slug", text.lower())


def _name_in_host(host: str, platform_domain: str) -> Name | None:
    bare = _without_port(host.strip().lower()).rstrip(".")
    ours = platform_domain.lower().rstrip(".")
    if not bare or bare == ours or _is_address(bare):
        return None
    if not bare.endswith(f".{ours}"):
        return Name("domain", bare)
    label = bare.removesuffix(f".{ours}")
    return None if label in RESERVED_SLUGS else Name("slug", label)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0].removeprefix("[")
    return host.partition(":")[0] if host.count(":") == 1 else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _look_up(names: tuple[Name, ...]) -> list[Tenant]:
    with open_platform_session() as session:
        return list(session.scalars(_named(names)))


def _named(names: tuple[Name, ...]) -> Select[Tenant]:
    # What cannot be a slug or a host name is not sent: Postgres refuses some characters.
    slugs = [name.value for name in names if name.kind == "slug" and is_slug(name.value)]
    domains = [name.value for name in names if name.kind == "domain" and _is_printable(name.value)]
    ids = [UUID(name.value) for name in names if name.kind == "id"]
    return select(Tenant).where(
        or_(Tenant.id.in_(ids), Tenant.subdomain.in_(slugs), Tenant.domain.in_(domains))
    )


def _is_printable(host: str) -> bool:
    return host.isascii() and host.isprintable()


def _matching(name: Name, found: list[Tenant]) -> Tenant | None:
    for tenant in found:
        known = {"id": str(tenant.id), "slug": tenant.subdomain, "domain": tenant.domain}
        if known[name.kind] == name.value:
            return tenant
    return None
