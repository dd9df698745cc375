"""One-time links: whoever holds one may set a person's password, once, for a while."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, select, update

from core import clock
from core.audit.chain import record
from core.errors import Fault, InvalidInputError
from core.identity.models import OneTimeLink, TenantUser, User
from core.identity.passwords import hash_password, password_faults
from core.ids import PLATFORM, new_token, token_digest
from core.tenancy.session import PlatformSession, open_platform_session

LINK_LIFETIME = timedelta(hours=72)
# Behind the #, which browsers send to no server: no log and no Referer holds the token.
LINK_PATH = "/app/password#token="
JOIN_PATH = "/app/join#token="


def add_password_link(session: PlatformSession, *, user_id: UUID) -> str:
    """Answer the path of a new link that sets a person's password; it is kept by digest alone."""
    token = new_token()
    session.add(
        OneTimeLink(
            user_id=user_id,
            digest=token_digest(token),
            expires_at=clock.now() + LINK_LIFETIME,
        )
    )
    session.flush()
    return LINK_PATH + token


def set_password(token: str, password: str) -> None:
    """Set the password of the person whom a link was made for; every earlier token is void.

    Raises InvalidInputError: code `link_not_valid` for a link that was used, replaced, is too
    old or never was; `invalid_input` with faults for a password that may not be taken, which
    leaves the link good. Of two uses at once exactly one wins.
    """
    good = _good(token)
    with open_platform_session() as session:
        person = session.execute(
            select(User.id, User.email, User.username)
            .join(OneTimeLink, OneTimeLink.user_id == User.id)
            .where(*good)
        ).one_or_none()
    if person is None:
        raise _link_not_valid()
    faults = password_faults(password, email=person.email, username=person.username)
    if faults:
        raise InvalidInputError("The password cannot be taken.", errors=faults)
    hashed = hash_password(password)
    with open_platform_session() as session:
        # The person first: two links of one person must not wait for each other.
        session.execute(select(User.id).where(User.id == person.id).with_for_update(key_share=True))
        user_id = session.scalar(
            update(OneTimeLink)
            .where(*good)
            .values(used_at=clock.now())
            .returning(OneTimeLink.user_id)
        )
        if user_id is None:
            raise _link_not_valid()
        change_password(session, user_id=user_id, password_hash=hashed)


def change_password(session: PlatformSession, *, user_id: UUID, password_hash: str) -> None:
    """Give a person a new password, last in the transaction: links and tokens become void."""
    session.execute(
        update(OneTimeLink)
        .where(OneTimeLink.user_id == user_id, OneTimeLink.used_at.is_(None))
        .values(used_at=clock.now())
    )
    is_operator = session.scalar(
        update(User)
        .where(User.id == user_id)
        .values(password_hash=password_hash, credentials_version=User.credentials_version + 1)
        .returning(User.is_operator)
    )
    tenants = session.scalars(
        select(TenantUser.tenant_id)
        .where(TenantUser.user_id == user_id)
        .order_by(TenantUser.tenant_id)
    ).all()
    # In one order everywhere, or two chains could wait for each other.
    for tenant_id in [*([PLATFORM] if is_operator else []), *tenants]:
        record(
            session,
            actor=user_id,
            action="password.set",
            target=f"user:{user_id}",
            tenant_id=tenant_id,
        )


def _good(token: str) -> tuple[ColumnElement[bool], ...]:
    digest = token_digest(token) if token.isascii() else b""
    return (
        OneTimeLink.digest == digest,
        OneTimeLink.used_at.is_(None),
        OneTimeLink.expires_at > clock.now(),
    )


def _link_not_valid() -> InvalidInputError:
    message = "The link was used, is too old, or never was."
    return InvalidInputError(
        f"{message} Ask for a new one.",
        code="link_not_valid",
        errors=[Fault("/token", "link_not_valid", message, "Ask for a new one.")],
    )
