"""People: finding one by mail, adding one, and what their fields may hold."""

import re
import unicodedata
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from core.errors import ConflictError, Fault
from core.identity.models import User
from core.identity.passwords import hash_password, verify_password
from core.identity.throttling import Attempt, count_failure, refuse_excess
from core.tenancy.session import PlatformSession, open_platform_session

_MAIL = re.compile(
    r"[^\s@<>()\[\],;:\"\\]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)*[^\W_][\w-]{0,62}"
)
_LONGEST_MAIL = 254
_LONGEST_USERNAME = 64
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom the platform knows; `password_hash` None: no password is set yet."""

    id: UUID
    email: str
    password_hash: str | None


@dataclass(frozen=True, slots=True)
class NewPerson:
    """What a person gives of themselves; the mail as `normal_email` answers it."""

    email: str
    username: str
    first_name: str | None = None
    last_name: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """That a password goes with a mail: the person who had it, or the hash for a new one."""

    person: Person | None
    new_hash: str | None


def normal_email(email: str) -> str:
    """Answer the one spelling under which a mail is kept; empty for what can be no mail."""
    text = unicodedata.normalize("NFKC", email).strip().lower()
    return text if _is_email(text) else ""


def local_part(email: str) -> str:
    """Answer what stands before a mail's @, cut to what a user name may be."""
    return email.partition("@")[0][:_LONGEST_USERNAME]


def find_person(session: PlatformSession, *, email: str) -> Person | None:
    """Answer the person with a mail in its normal spelling, None where there is none."""
    row = session.execute(
        select(User.id, User.email, User.password_hash).where(User.email == email)
    ).one_or_none()
    return Person(row.id, row.email, row.password_hash) if row is not None else None


def add_person(session: PlatformSession, new: NewPerson, *, password_hash: str | None) -> UUID:
    """Add a person and answer their id.

    Raises ConflictError, code `email_not_available`, where the mail came in meanwhile.
    """
    added: UUID | None = session.scalar(
        insert(User)
        .values(
            email=new.email,
            username=new.username,
            first_name=new.first_name,
            last_name=new.last_name,
            password_hash=password_hash,
        )
        .on_conflict_do_nothing(index_elements=["email"])
        .returning(User.id)
    )
    if added is None:
        raise email_not_available()
    return added


def prove(email: str, password: str, *, address: str | None) -> Proof:
    """Prove that whoever knows a password may use a mail: as its person, or as a new one.

    Costs one Argon2 whether the mail is known or not; holds no session meanwhile. Raises
    ConflictError, code `email_not_available`, for a known mail and another password, and
    ThrottledError after too many of these.
    """
    attempt = Attempt(email, address)
    refuse_excess(attempt)
    with open_platform_session() as session:
        person = find_person(session, email=email)
    if person is None:
        return Proof(None, hash_password(password))
    if not verify_password(password, person.password_hash).right:
        count_failure(attempt)
        raise email_not_available()
    refuse_excess(attempt)
    return Proof(person, None)


def person_of(session: PlatformSession, proof: Proof, new: NewPerson) -> UUID:
    """Answer the id of the person who was proved, adding them where they are new.

    Raises ConflictError where their password changed since, or the mail came in meanwhile.
    """
    if proof.person is None:
        return add_person(session, new, password_hash=proof.new_hash)
    current = session.scalar(
        select(User.password_hash).where(User.id == proof.person.id).with_for_update(read=True)
    )
    if current != proof.person.password_hash:
        raise email_not_available()
    return proof.person.id


def email_not_available() -> ConflictError:
    """Answer the error for a mail that is taken by somebody who did not prove to be them.

    It names no tenant and no person. That the mail is known cannot be hidden from whoever may
    register at all, for a new one would be taken; so it is throttled like a sign-in.
    """
    return ConflictError(
        "This mail cannot be used with this password. If it is yours, give the password that you "
        "already have here, or ask for a link to set one.",
        code="email_not_available",
    )


def person_faults(
    *,
    email: str,
    username: str,
    first_name: str | None = None,
    last_name: str | None = None,
    prefix: str = "/",
) -> list[Fault]:
    """Answer everything wrong with a person's fields; paths begin with the prefix."""
    faults = []
    if not normal_email(email):
        message, hint = "This is not a mail address.", "Write it like ada@example.com."
        faults.append(Fault(f"{prefix}email", "email_not_valid", message, hint))
    if not is_name(username, longest=_LONGEST_USERNAME):
        message = f"A user name has 1 to {_LONGEST_USERNAME} printable characters."
        faults.append(Fault(f"{prefix}username", "username_not_valid", message))
    for field, name in (("first_name", first_name), ("last_name", last_name)):
        if name and not is_name(name, longest=_LONGEST_NAME):
            message = f"A name has at most {_LONGEST_NAME} printable characters."
            faults.append(Fault(f"{prefix}{field}", "name_not_valid", message))
    return faults


def is_name(text: str, *, longest: int) -> bool:
    """Tell whether a text is printable, not blank and not too long."""
    return bool(text.strip()) and len(text) <= longest and text.isprintable()


def _is_email(text: str) -> bool:
    return len(text) <= _LONGEST_MAIL and text.isprintable() and bool(_MAIL.fullmatch(text))
