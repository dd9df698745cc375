"""Ids that are more than a random uuid: the platform's own tenant, slugs, tokens."""

import hashlib
import re
import secrets
from uuid import UUID

# Jobs of the platform itself (provisioning) have an owner too; no role and no schema carry it.
PLATFORM = UUID(int=0)

RESERVED_SLUGS = frozenset({"api", "www", "app", "admin"})
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def is_slug(text: str) -> bool:
    """Tell whether a text can be a subdomain: a DNS label, not reserved, no uuid in disguise."""
    return bool(_SLUG.fullmatch(text)) and text not in RESERVED_SLUGS and parse_uuid(text) is None


def parse_uuid(text: str) -> UUID | None:
    """Answer the uuid a text spells, with or without dashes, None where it spells none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def new_token() -> str:
    """Answer an unguessable token of 256 bits, safe in a URL."""
    return secrets.token_urlsafe(32)


def token_digest(token: str) -> bytes:
    """Answer the SHA-256 under which a token is stored, so that the table opens no door."""
    return hashlib.sha256(token.encode()).digest()
