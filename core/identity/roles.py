"""Who may do what: one table of permissions and the roles that hold each."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, get_args

from core.errors import Fault

Role = Literal["admin", "user", "viewer", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)
DEFAULT_ROLE: Role = "user"

_ALL: tuple[Role, ...] = ROLES
_MAKERS: tuple[Role, ...] = ("admin", "user")
_OVERSEERS: tuple[Role, ...] = ("admin", "auditor")
_ADMINS: tuple[Role, ...] = ("admin",)

HOLDERS: dict[str, tuple[Role, ...]] = {
    "tenant:read": _ALL,
    "tenant:write": _ADMINS,
    "users:read": _OVERSEERS,
    "users:write": _ADMINS,
    "audit:read": _OVERSEERS,
    "billing:read": _OVERSEERS,
    "billing:write": _ADMINS,
    "usage:read": _ALL,
    "analytics:read": _ALL,
    "events:read": _ALL,
    "jobs:read": _ALL,
    "jobs:cancel": _MAKERS,
    "jobs:retry": _MAKERS,
    "strategies:read": _ALL,
    "strategies:write": _MAKERS,
    "data:read": _ALL,
    "data:write": _MAKERS,
    "backtests:read": _ALL,
    "backtests:run": _MAKERS,
    "execution:read": _ALL,
    "execution:trade": _MAKERS,
    "keys:read": ("admin", "user", "auditor"),
    "keys:write": _MAKERS,
    "webhooks:read": _OVERSEERS,
    "webhooks:write": _ADMINS,
    "privacy:read": _OVERSEERS,
    "privacy:write": _ADMINS,
}

OPERATOR_ROLE = "operator"
OPERATOR_PERMISSIONS = frozenset({"platform:read", "platform:write"})


def permissions_of(role: str, extra: Iterable[str] = ()) -> frozenset[str]:
    """Answer what a membership allows: its role's permissions and its own extra ones.

    A name that the table does not know allows nothing.
    """
    return _permissions_of(role, frozenset(extra))


# One set for all who hold the same: each open stream keeps its own.
@lru_cache(maxsize=1_000)
def _permissions_of(role: str, extra: frozenset[str]) -> frozenset[str]:
    granted = {name for name, holders in HOLDERS.items() if role in holders}
    return frozenset(granted | (extra & HOLDERS.keys()))


def role_faults(role: str | None, permissions: Iterable[str] | None) -> list[Fault]:
    """Answer what is wrong with a role and extra permissions that somebody asks for."""
    faults = []
    if role is not None and role not in ROLES:
        faults.append(
            Fault("/role", "unknown_role", "There is no such role.", f"Take one of {_names(ROLES)}")
        )
    if permissions is not None and (unknown := set(permissions) - HOLDERS.keys()):
        message = f"There is no permission {_names(sorted(unknown))}."
        hint = f"Take some of {_names(sorted(HOLDERS))}"
        faults.append(Fault("/permissions", "unknown_permission", message, hint))
    return faults


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) + "."
