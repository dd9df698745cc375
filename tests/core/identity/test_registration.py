from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from core.audit.chain import verify
from core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NeozorkError,
    QuotaExceededError,
    ThrottledError,
)
from core.identity.authentication import authenticate, login
from core.identity.members import Member
from core.identity.models import TenantUser, User
from core.identity.operations import set_tenant
from core.identity.passwords import tally
from core.identity.places import invite_member
from core.identity.principal import Principal
from core.identity.registration import register
from core.identity.throttling import FAILURES_PER_ACCOUNT
from core.tenancy.session import open_platform_session, open_session
from tests.builders import PASSWORD, a_mail, a_member, a_ref, a_slug, a_tenant, a_token, a_user

pytestmark = pytest.mark.usefixtures("database")


def an_open_tenant(*, tier: str = "professional", domains: tuple[str, ...] = ()) -> UUID:
    slug = a_slug()
    tenant = a_tenant(slug=slug, tier=tier)
    set_tenant(slug, open_registration=True, domains=domains)
    return tenant


def joined(tenant: UUID, email: str, password: str = PASSWORD, **more: Any) -> Member:
    return register(a_ref(tenant), email=email, username="ada", password=password, **more)


def refusal(tenant: UUID, email: str, password: str = PASSWORD, **more: Any) -> NeozorkError:
    with pytest.raises(NeozorkError) as raised:
        joined(tenant, email, password, **more)
    return raised.value


def an_admin(tenant: UUID) -> Principal:
    return authenticate(a_token(tenant, role="admin"))


def an_invitation(tenant: UUID, email: str, role: str = "viewer") -> str:
    with open_platform_session() as session:
        path = invite_member(session, tenant_id=tenant, by=tenant, email=email, role=role)
    return path.partition("#token=")[2]


def test_the_open_door_makes_a_user_whatever_role_is_asked_for() -> None:
    tenant, mail = an_open_tenant(), a_mail()
    assert joined(tenant, mail, role="admin").role == "user"
    assert login(a_ref(tenant), email=mail, password=PASSWORD, address=None)


def test_a_closed_door_lets_nobody_in_and_tells_nothing_of_mails() -> None:
    tenant, known = a_tenant(), a_mail()
    a_user(email=known)
    verified = tally.verified + tally.hashed
    answers = [
        refusal(tenant, mail, password).problem()
        for mail, password in ((a_mail(), PASSWORD), (known, PASSWORD), (known, "x" + PASSWORD))
    ]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["code"] == "registration_closed"
    assert tally.verified + tally.hashed == verified


def test_an_open_door_asks_for_its_own_mail_domains() -> None:
    tenant = an_open_tenant(domains=("acme.example", "@Acme.Test"))
    assert joined(tenant, "ada.1@ACME.example")
    assert joined(tenant, "ada.2@acme.test")
    for mail in ("ada@evil.example", "ada@sub.acme.example", "ada@acme.example.evil.example"):
        assert refusal(tenant, mail).instance_code == "email_domain_refused"


def test_an_existing_person_joins_by_the_password_they_have() -> None:
    tenant, mail = an_open_tenant(), a_mail()
    person = a_user(email=mail)
    wrong = refusal(tenant, mail, "wrong horse battery")
    assert isinstance(wrong, ConflictError)
    assert wrong.instance_code == "email_not_available"
    assert joined(tenant, mail).id == person
    assert refusal(tenant, mail).instance_code == "already_member"
    assert refusal(tenant, mail, "wrong horse battery").problem() == wrong.problem()


def test_a_known_mail_costs_what_a_new_one_costs() -> None:
    tenant, known = an_open_tenant(), a_mail()
    a_user(email=known)
    before = tally.verified + tally.hashed
    refusal(tenant, known, "wrong horse battery")
    assert tally.verified + tally.hashed == before + 1
    joined(tenant, a_mail())
    assert tally.verified + tally.hashed == before + 2


def test_a_person_without_a_password_cannot_be_taken_over() -> None:
    tenant, mail = an_open_tenant(), a_mail()
    a_user(email=mail, password=None)
    assert refusal(tenant, mail).instance_code == "email_not_available"


def test_an_inactive_member_does_not_come_back_by_registering() -> None:
    tenant, mail = an_open_tenant(), a_mail()
    a_member(tenant, email=mail, is_active=False)
    assert refusal(tenant, mail).instance_code == "already_member"


def test_guessing_at_the_door_is_throttled_like_a_sign_in() -> None:
    tenant, mail = an_open_tenant(), a_mail()
    a_user(email=mail)
    for _ in range(FAILURES_PER_ACCOUNT):
        refusal(tenant, mail, "wrong horse battery", address="203.0.113.1")
    assert isinstance(refusal(tenant, mail, address="203.0.113.1"), ThrottledError)
    with pytest.raises(ThrottledError):
        login(a_ref(tenant), email=mail, password=PASSWORD, address="203.0.113.1")


def test_an_admin_names_the_role_of_a_closed_tenant() -> None:
    tenant = a_tenant()
    admin = an_admin(tenant)
    assert joined(tenant, a_mail(), role="auditor", by=admin).role == "auditor"
    assert joined(tenant, a_mail(), by=admin).role == "user"
    wrong = refusal(tenant, a_mail(), role="owner", by=admin)
    assert [fault.path for fault in wrong.errors] == ["/role"]


def test_another_tenants_admin_and_a_plain_user_open_no_door() -> None:
    tenant = a_tenant()
    for caller in (an_admin(a_tenant()), authenticate(a_token(tenant))):
        code = refusal(tenant, a_mail(), role="admin", by=caller).instance_code
        assert code == "registration_closed"


def test_an_invitation_lets_its_mail_in_once_with_its_role() -> None:
    tenant, mail = a_tenant(), a_mail()
    token = an_invitation(tenant, mail)
    assert refusal(tenant, a_mail(), invitation_token=token).instance_code == "invitation_not_valid"
    assert joined(tenant, mail, invitation_token=token, role="admin").role == "viewer"
    assert refusal(tenant, mail, invitation_token=token).instance_code == "invitation_not_valid"


def test_an_invited_person_must_still_prove_to_be_them() -> None:
    tenant, mail = a_tenant(), a_mail()
    person = a_user(email=mail)
    token = an_invitation(tenant, mail)
    wrong = refusal(tenant, mail, "wrong horse battery", invitation_token=token)
    assert wrong.instance_code == "email_not_available"
    assert joined(tenant, mail, invitation_token=token).id == person


@pytest.mark.parametrize("token", ["x", "\x00", "é", "\ud800"])
def test_an_invitation_of_another_tenant_or_of_nobody_is_not_good(token: str) -> None:
    tenant, mail = a_tenant(), a_mail()
    for bad in (token, an_invitation(a_tenant(), mail)):
        answer = refusal(tenant, mail, invitation_token=bad)
        assert isinstance(answer, ForbiddenError)
        assert answer.instance_code == "invitation_not_valid"


def test_an_invitation_takes_its_own_place_in_a_full_plan() -> None:
    tenant, mail = a_tenant(tier="starter"), a_mail()
    token = an_invitation(tenant, mail)
    assert joined(tenant, mail, invitation_token=token)


def test_a_refused_registration_leaves_no_person() -> None:
    tenant, mail = an_open_tenant(tier="starter"), a_mail()
    a_member(tenant, role="admin")
    assert isinstance(refusal(tenant, mail), QuotaExceededError)
    with open_platform_session() as session:
        assert session.scalar(select(User.id).where(User.email == mail)) is None


def test_fifty_threads_at_a_quota_of_five_make_exactly_five() -> None:
    tenant = an_open_tenant()

    def join(_number: int) -> bool:
        try:
            joined(tenant, a_mail())
        except QuotaExceededError:
            return False
        return True

    with ThreadPoolExecutor(50) as pool:
        assert sum(pool.map(join, range(50))) == 5
    with open_platform_session() as session:
        members = session.scalar(select(func.count()).where(TenantUser.tenant_id == tenant))
    assert members == 5
    with open_session(tenant) as session:
        assert verify(session) is None


def test_one_mail_registered_by_many_at_once_becomes_one_person() -> None:
    tenant, mail = an_open_tenant(), a_mail()

    def join(number: int) -> bool:
        try:
            joined(tenant, mail, f"horse battery {number}")
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(join, range(8))) == 1


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InvalidInputError) as raised:
        register(
            a_ref(an_open_tenant()),
            email="ada",
            username="",
            password="short",
            first_name="\x00",
            last_name="x" * 500,
        )
    assert [fault.path for fault in raised.value.errors] == [
        "/email",
        "/username",
        "/first_name",
        "/last_name",
        "/password",
    ]
