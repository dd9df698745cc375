from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
import time_machine
from argon2 import PasswordHasher
from sqlalchemy import select, update
from sqlalchemy.exc import ProgrammingError

from core.audit.chain import list_entries, verify
from core.errors import ForbiddenError, ThrottledError, UnauthenticatedError
from core.identity.authentication import (
    SignedIn,
    authenticate,
    login,
    login_operator,
    logout,
    refresh,
)
from core.identity.members import remove_member, update_member
from core.identity.models import (
    Invitation,
    OneTimeLink,
    RefreshToken,
    RevokedToken,
    TenantUser,
    User,
)
from core.identity.passwords import tally
from core.identity.throttling import FAILURES_PER_ACCOUNT
from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session, open_session
from core.valkey import get_valkey
from tests.builders import PASSWORD, a_mail, a_member, a_ref, a_tenant, a_token, a_user

pytestmark = pytest.mark.usefixtures("database")


def sign_in(tenant: UUID, email: str, password: str = PASSWORD) -> SignedIn:
    return login(a_ref(tenant), email=email, password=password, address=None)


def refused(tenant: UUID, email: str, password: str) -> UnauthenticatedError:
    with pytest.raises(UnauthenticatedError) as raised:
        login(a_ref(tenant), email=email, password=password, address=None)
    return raised.value


def is_valid(token: str) -> bool:
    try:
        authenticate(token)
    except UnauthenticatedError:
        return False
    return True


def actions(tenant: UUID) -> list[str]:
    with open_session(tenant) as session:
        assert verify(session) is None
        return [entry["action"] for entry in list_entries(session, limit=100)[0]]


def test_a_member_signs_in_whatever_the_mails_case() -> None:
    tenant, mail = a_tenant(), a_mail()
    member = a_member(tenant, email=mail, role="viewer")
    signed_in = sign_in(tenant, f" {mail.upper()} ")
    principal = authenticate(signed_in.access_token)
    assert (principal.user_id, principal.tenant, principal.role) == (
        member,
        a_ref(tenant),
        "viewer",
    )
    assert signed_in.expires_in == 1800
    assert signed_in.user["tenant_id"] == str(tenant)
    assert signed_in.user["subscription_tier"] == "professional"
    assert signed_in.user["last_login"] is not None


def test_every_refusal_is_the_same_and_costs_the_same() -> None:
    tenant, other = a_tenant(), a_tenant()
    mail, elsewhere, unset, gone = (a_mail() for _ in range(4))
    a_member(tenant, email=mail)
    a_member(other, email=elsewhere)
    a_member(tenant, email=unset, password=None)
    a_member(tenant, email=gone, is_active=False)
    problems = []
    for email, password in (
        (mail, "wrong horse battery"),
        (a_mail(), PASSWORD),
        (elsewhere, PASSWORD),
        (unset, PASSWORD),
        (unset, ""),
        (gone, PASSWORD),
        ("", PASSWORD),
        ("no mail\x00", PASSWORD),
        ("\ud800@x.example", "\ud800"),
    ):
        verified, hashed = tally.verified, tally.hashed
        problems.append(refused(tenant, email, password).problem())
        assert (tally.verified - verified, tally.hashed - hashed) == (1, 0)
    assert all(problem == problems[0] for problem in problems)
    assert problems[0]["code"] == "invalid_credentials"
    assert problems[0]["title"] == "The sign-in failed"


def test_a_hash_of_old_parameters_is_replaced_at_sign_in() -> None:
    tenant, mail = a_tenant(), a_mail()
    member = a_member(tenant, email=mail)
    old = PasswordHasher(memory_cost=8, time_cost=1, parallelism=1).hash(PASSWORD)
    with open_platform_session() as session:
        session.execute(update(User).where(User.id == member).values(password_hash=old))
    token = sign_in(tenant, mail).access_token
    with open_platform_session() as session:
        known = session.scalar(select(User.password_hash).where(User.id == member))
    assert known is not None
    assert "m=19456,t=2,p=1" in known
    assert is_valid(token)
    assert is_valid(sign_in(tenant, mail).access_token)


def test_a_changed_role_acts_at_once() -> None:
    tenant, mail = a_tenant(), a_mail()
    boss = a_member(tenant, role="admin")
    member = a_member(tenant, email=mail)
    before = sign_in(tenant, mail)
    with open_platform_session() as session:
        update_member(session, tenant_id=tenant, user_id=member, by=boss, role="viewer")
    assert not is_valid(before.access_token)
    after = authenticate(refresh(before.refresh_token).access_token)
    assert after.role == "viewer"
    with pytest.raises(ForbiddenError):
        after.require("strategies:write")


def test_deactivation_and_removal_act_at_once_and_outlast_a_return() -> None:
    tenant, mail = a_tenant(), a_mail()
    boss = a_member(tenant, role="admin")
    member = a_member(tenant, email=mail)
    first = sign_in(tenant, mail)
    with open_platform_session() as session:
        update_member(session, tenant_id=tenant, user_id=member, by=boss, is_active=False)
    assert not is_valid(first.access_token)
    with open_platform_session() as session:
        update_member(session, tenant_id=tenant, user_id=member, by=boss, is_active=True)
    second = sign_in(tenant, mail)
    with open_platform_session() as session:
        remove_member(session, tenant_id=tenant, user_id=member, by=boss)
    a_member(tenant, user_id=member)
    for signed_in in (first, second):
        assert not is_valid(signed_in.access_token)
        with pytest.raises(UnauthenticatedError):
            refresh(signed_in.refresh_token)
    assert is_valid(sign_in(tenant, mail).access_token)


def test_a_membership_ended_by_hand_acts_at_once_too() -> None:
    tenant = a_tenant()
    token = a_token(tenant)
    with open_platform_session() as session:
        session.execute(
            update(TenantUser).where(TenantUser.tenant_id == tenant).values(is_active=False)
        )
    assert not is_valid(token)


def test_a_new_password_voids_every_token() -> None:
    tenant, mail = a_tenant(), a_mail()
    member = a_member(tenant, email=mail)
    signed_in = sign_in(tenant, mail)
    with open_platform_session() as session:
        session.execute(
            update(User)
            .where(User.id == member)
            .values(credentials_version=User.credentials_version + 1)
        )
    assert not is_valid(signed_in.access_token)
    with pytest.raises(UnauthenticatedError):
        refresh(signed_in.refresh_token)


def test_a_token_is_of_one_tenant() -> None:
    one, other, mail = a_tenant(), a_tenant(), a_mail()
    member = a_member(one, email=mail, role="admin")
    a_member(other, user_id=member, role="viewer")
    principal = authenticate(sign_in(other, mail).access_token)
    assert (principal.tenant_id, principal.role) == (other, "viewer")
    with pytest.raises(UnauthenticatedError):
        refresh(sign_in(one, mail).refresh_token, tenant=a_ref(other))


def test_a_tenants_changed_status_and_tier_are_seen_at_once() -> None:
    tenant = a_tenant()
    token = a_token(tenant)
    with open_platform_session() as session:
        session.execute(
            update(Tenant)
            .where(Tenant.id == tenant)
            .values(status="suspended", subscription_tier="enterprise")
        )
    seen = authenticate(token).tenant
    assert seen is not None
    assert (seen.status, seen.tier) == ("suspended", "enterprise")


def test_logout_ends_the_token_and_its_family_and_no_other_login() -> None:
    tenant, mail = a_tenant(), a_mail()
    a_member(tenant, email=mail)
    ended, other = sign_in(tenant, mail), sign_in(tenant, mail)
    renewed = refresh(ended.refresh_token)
    logout(authenticate(renewed.access_token))
    assert not is_valid(renewed.access_token)
    assert not is_valid(ended.access_token)
    with pytest.raises(UnauthenticatedError):
        refresh(renewed.refresh_token)
    assert is_valid(other.access_token)
    assert refresh(other.refresh_token)


def test_logout_does_not_end_a_strangers_refresh_token() -> None:
    tenant, mail, other = a_tenant(), a_mail(), a_mail()
    a_member(tenant, email=mail)
    a_member(tenant, email=other)
    theirs = sign_in(tenant, other)
    principal = authenticate(sign_in(tenant, mail).access_token)
    logout(principal, refresh_token=theirs.refresh_token)
    assert refresh(theirs.refresh_token)


def test_a_refresh_token_used_twice_ends_its_login() -> None:
    tenant, mail = a_tenant(), a_mail()
    a_member(tenant, email=mail)
    first, other = sign_in(tenant, mail), sign_in(tenant, mail)
    second = refresh(first.refresh_token)
    with pytest.raises(UnauthenticatedError) as raised:
        refresh(first.refresh_token)
    assert raised.value.instance_code == "invalid_refresh_token"
    assert not is_valid(first.access_token)
    assert not is_valid(second.access_token)
    with pytest.raises(UnauthenticatedError):
        refresh(second.refresh_token)
    assert is_valid(other.access_token)
    assert "session.ended_by_reuse" in actions(tenant)


def test_of_many_uses_at_once_one_wins_and_its_successor_is_ended() -> None:
    tenant, mail = a_tenant(), a_mail()
    a_member(tenant, email=mail)
    token = sign_in(tenant, mail).refresh_token

    def use(_number: int) -> SignedIn | None:
        try:
            return refresh(token)
        except UnauthenticatedError:
            return None

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for answer in pool.map(use, range(8)) if answer is not None]
    assert len(answers) == 1
    assert not is_valid(answers[0].access_token)
    with pytest.raises(UnauthenticatedError):
        refresh(answers[0].refresh_token)
    with open_platform_session() as session:
        family = session.scalars(select(RefreshToken).where(RefreshToken.tenant_id == tenant)).all()
    assert len(family) == 2
    assert all(row.revoked_at is not None for row in family)


def test_reuse_while_the_successor_is_used_leaves_no_descendant() -> None:
    tenant, mail = a_tenant(), a_mail()
    a_member(tenant, email=mail)
    for _ in range(5):
        first = sign_in(tenant, mail).refresh_token
        second = refresh(first).refresh_token

        def use(token: str) -> SignedIn | None:
            try:
                return refresh(token)
            except UnauthenticatedError:
                return None

        with ThreadPoolExecutor(2) as pool:
            answers = [answer for answer in pool.map(use, [second, first]) if answer]
        for answer in answers:
            assert not is_valid(answer.access_token)
            with pytest.raises(UnauthenticatedError):
                refresh(answer.refresh_token)


@pytest.mark.parametrize("token", ["", "x", "\x00" * 43, "é" * 43, "A" * 43, "A" * 10_000])
def test_what_is_no_refresh_token_is_refused(token: str) -> None:
    with pytest.raises(UnauthenticatedError):
        refresh(token)


def test_a_refresh_token_ends_with_its_days() -> None:
    tenant, mail = a_tenant(), a_mail()
    a_member(tenant, email=mail)
    token = sign_in(tenant, mail).refresh_token
    with (
        time_machine.travel(datetime.now(UTC) + timedelta(days=31)),
        pytest.raises(UnauthenticatedError),
    ):
        refresh(token)


def test_an_operator_signs_in_at_the_platform_alone() -> None:
    tenant, mail = a_tenant(), a_mail()
    operator = a_user(email=mail, is_operator=True)
    signed_in = login_operator(email=mail, password=PASSWORD, address=None)
    principal = authenticate(refresh(signed_in.refresh_token).access_token)
    assert (principal.user_id, principal.tenant_id, principal.role) == (operator, None, "operator")
    assert "platform:write" in principal.permissions
    assert refused(tenant, mail, PASSWORD)
    with open_platform_session() as session:
        session.execute(update(User).where(User.id == operator).values(is_operator=False))
    assert not is_valid(signed_in.access_token)


def test_a_member_is_no_operator() -> None:
    tenant, mail = a_tenant(), a_mail()
    a_member(tenant, email=mail, role="admin")
    with pytest.raises(UnauthenticatedError):
        login_operator(email=mail, password=PASSWORD, address=None)


def test_guessing_locks_an_address_out_and_never_the_owner() -> None:
    tenant, mail = a_tenant(), a_mail()
    a_member(tenant, email=mail)
    ref = a_ref(tenant)
    for _ in range(FAILURES_PER_ACCOUNT):
        with pytest.raises(UnauthenticatedError):
            login(ref, email=mail, password="wrong horse battery", address="198.51.100.1")
    with pytest.raises(ThrottledError):
        login(ref, email=mail, password=PASSWORD, address="198.51.100.1")
    assert login(ref, email=mail, password=PASSWORD, address="198.51.100.2")


def test_many_guesses_at_once_do_not_pass_the_limit() -> None:
    tenant, mail = a_tenant(), a_mail()
    a_member(tenant, email=mail)
    ref = a_ref(tenant)

    def guess(_number: int) -> str:
        try:
            login(ref, email=mail, password="wrong horse battery", address="198.51.100.3")
        except (UnauthenticatedError, ThrottledError) as error:
            return error.instance_code
        return "signed in"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, range(3 * FAILURES_PER_ACCOUNT)))
    assert "throttled" in answers
    with pytest.raises(ThrottledError):
        login(ref, email=mail, password=PASSWORD, address="198.51.100.3")


def test_a_flushed_valkey_loses_no_session_and_no_revocation() -> None:
    tenant, mail = a_tenant(), a_mail()
    a_member(tenant, email=mail)
    kept, ended = sign_in(tenant, mail), sign_in(tenant, mail)
    logout(authenticate(ended.access_token))
    get_valkey().flushdb()
    assert is_valid(kept.access_token)
    assert not is_valid(ended.access_token)


def test_sign_in_failure_and_logout_are_recorded_without_the_mail_that_was_tried() -> None:
    tenant, mail = a_tenant(), a_mail()
    a_member(tenant, email=mail)
    signed_in = sign_in(tenant, mail)
    stranger = a_mail()
    refused(tenant, stranger, PASSWORD)
    logout(authenticate(signed_in.access_token))
    assert actions(tenant) == ["session.ended", "session.refused", "session.opened"]
    with open_session(tenant) as session:
        assert stranger not in str(list_entries(session, limit=10))


@pytest.mark.parametrize("model", [User, RefreshToken, RevokedToken, OneTimeLink, Invitation])
def test_a_tenants_role_cannot_read_people_or_what_proves_them(model: type) -> None:
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        open_session(a_tenant()) as session,
    ):
        session.scalars(select(model)).all()


def test_no_secret_stands_in_a_table(
    as_superuser: "psycopg.Connection[tuple[object, ...]]",
) -> None:
    tenant, mail = a_tenant(), a_mail()
    a_member(tenant, email=mail)
    token = sign_in(tenant, mail).refresh_token
    rows = as_superuser.execute("SELECT t::text FROM neozork.refresh_tokens t").fetchall()
    assert rows
    assert token not in str(rows)
    assert token.encode().hex() not in str(rows)
