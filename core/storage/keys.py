"""The names of blobs: every key begins with the tenant's id, and no key can leave its prefix."""

import re
from uuid import UUID

from core.errors import InvalidInputError

LONGEST_KEY = 512
_SEGMENT = re.compile(r"[A-Za-z0-9_=@+-][A-Za-z0-9._=@+-]*")
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")


def tenant_prefix(tenant_id: UUID) -> str:
    """Answer what all keys of a tenant begin with, `<id>/`."""
    return f"{tenant_id}/"


def tenant_key(tenant_id: UUID, kind: str, name: str) -> str:
    """Answer the key `<tenant id>/<kind>/<name>`; a name may have further segments.

    `kind`: lower case letters, digits and dashes (`bars`, `results`). Raises InvalidInputError,
    code `bad_key`, for a name that is no key.
    """
    if not _KIND.fullmatch(kind):
        raise _bad_key(kind)
    return checked_key(f"{tenant_prefix(tenant_id)}{kind}/{name}")


def checked_key(key: str) -> str:
    """Answer the key itself if it is one: a tenant's id, then segments of plain characters.

    Letters, digits and `._=@+-`; no segment is empty or begins with a dot, so that neither `..`
    nor an absolute path can be written.
    """
    tenant, _, rest = key.partition("/")
    segments = rest.split("/")
    if len(key) > LONGEST_KEY or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise _bad_key(key)
    if not _is_tenant(tenant):
        raise _bad_key(key)
    return key


def checked_prefix(prefix: str) -> str:
    """Answer the prefix itself if it is a tenant's id and whole segments, ending in a slash."""
    tenant, slash, rest = prefix.partition("/")
    if not slash or not prefix.endswith("/") or not _is_tenant(tenant):
        raise _bad_key(prefix)
    if rest:
        checked_key(prefix.removesuffix("/"))
    return prefix


def _is_tenant(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _bad_key(key: str) -> InvalidInputError:
    return InvalidInputError(f"{key[:80]!r} is not a key of stored data.", code="bad_key")
