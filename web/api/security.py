"""Who calls and what for: every route declares its permission, checked before its body is read."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

from flask import g, request

from core.errors import (
    ConflictError,
    NotFoundError,
    QuotaExceededError,
    UnauthenticatedError,
)
from core.identity.authentication import authenticate
from core.identity.principal import Principal
from core.logging import bind
from core.tenancy.resolution import Signals, TenantRef, resolve
from web.api.reading import Blueprint, refuse_query, takes_query

PUBLIC = "public"
_DECLARED = "permission"
_READING = (":read",)
_WHILE_SUSPENDED = ("billing:write",)
# Load balancers, browsers and libraries of event streams add parameters of their own.
_TAKE_ANY_QUERY = ("health", "docs", "events")

P = ParamSpec("P")
R = TypeVar("R")


class SuspendedError(QuotaExceededError):
    """Raised when a suspended tenant asks for a change."""

    code = "tenant_suspended"
    title = "The firm is suspended"


def requires(permission: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare what a route takes: a permission in the tenant that the call names, or PUBLIC.

    Answers in this order: 401 without a valid token, 404 for a tenant that is not the
    caller's, 403 without the permission, 402 for a change while the tenant is suspended, 422 for a
    query that the route does not read.
    """

    def declare(view: Callable[P, R]) -> Callable[P, R]:
        reads_query = takes_query(view)

        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if permission != PUBLIC:
                _admit(permission)
            if not reads_query and request.blueprint not in _TAKE_ANY_QUERY:
                refuse_query(request)
            return view(*args, **kwargs)

        documented = guarded if permission == PUBLIC else _documented(permission)(guarded)
        vars(documented)[_DECLARED] = permission
        return documented

    return declare


def _documented(permission: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    return Blueprint.doc(security=[{"bearer": []}], **{"x-permission": permission})


def permission_of(view: Callable[..., Any]) -> str | None:
    """Answer what a route declared, None where it forgot to."""
    return getattr(view, _DECLARED, None)


def caller() -> Principal:
    """Answer who calls, in a route that takes a permission."""
    return cast("Principal", g.principal)


def tenant_id() -> UUID:
    """Answer the tenant that a call is for, in a route that takes a permission."""
    found = caller().tenant_id
    if found is None:
        raise NotFoundError("There is no such tenant, or it is not yours.", code="tenant_not_found")
    return found


def named_tenant(*, token: UUID | None = None) -> TenantRef:
    """Answer the tenant that host, path and header name, for routes before sign-in."""
    return resolve(
        Signals(
            host=request.host,
            path=g.get("tenant_in_path"),
            header=request.headers.get("X-Tenant-ID"),
            token=token,
        )
    )


def _admit(permission: str) -> None:
    principal = authenticate(bearer_token())
    tenant = named_tenant(token=principal.tenant_id)
    if principal.tenant is None or tenant.id != principal.tenant_id:
        raise NotFoundError("There is no such tenant, or it is not yours.", code="tenant_not_found")
    g.principal = principal
    bind(tenant_id=str(tenant.id), user_id=str(principal.user_id))
    principal.require(permission)
    if tenant.status == "provisioning":
        raise ConflictError(
            "Your firm is still being set up. Try again in a moment.", code="tenant_provisioning"
        )
    reading = permission.endswith(_READING) or permission in _WHILE_SUSPENDED
    if tenant.status == "suspended" and not reading:
        raise SuspendedError(
            "The trial is over or a payment is open: reading works, changes do not. Subscribe "
            "to go on; nothing was deleted."
        )


def bearer_token() -> str:
    """Answer the token of the Authorization header; UnauthenticatedError without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError(
            "Send the access token of a login in the header Authorization: Bearer …"
        )
    return token.strip()
