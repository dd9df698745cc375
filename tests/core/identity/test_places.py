from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import time_machine

from core.errors import ConflictError, InvalidInputError, QuotaExceededError
from core.identity.authentication import login
from core.identity.links import set_password
from core.identity.members import list_members
from core.identity.places import INVITATION_LIFETIME, Added, add_member, invite_member
from core.tenancy.session import open_platform_session
from tests.builders import PASSWORD, a_mail, a_member, a_ref, a_tenant, a_user

pytestmark = pytest.mark.usefixtures("database")


def added(tenant: UUID, email: str, role: str = "user") -> Added:
    with open_platform_session() as session:
        return add_member(session, tenant_id=tenant, by=tenant, email=email, role=role)


def invited(tenant: UUID, email: str) -> str:
    with open_platform_session() as session:
        return invite_member(session, tenant_id=tenant, by=tenant, email=email)


def test_a_new_person_is_added_with_a_link_to_set_the_password() -> None:
    tenant, mail = a_tenant(), a_mail()
    answer = added(tenant, mail.upper(), "viewer")
    assert answer.path.startswith("/app/password#token=")
    set_password(answer.path.partition("=")[2], PASSWORD)
    user = login(a_ref(tenant), email=mail, password=PASSWORD, address=None).user
    assert (user["id"], user["role"]) == (str(answer.user_id), "viewer")
    assert user["username"] == mail.partition("@")[0]


def test_an_existing_person_is_invited_and_no_member_yet() -> None:
    tenant, mail = a_tenant(), a_mail()
    a_user(email=mail)
    answer = added(tenant, mail)
    assert answer.user_id is None
    assert answer.path.startswith("/app/join#token=")
    with open_platform_session() as session:
        assert list_members(session, tenant_id=tenant, limit=10)[0] == []


def test_a_member_is_not_added_again() -> None:
    tenant, mail = a_tenant(), a_mail()
    a_member(tenant, email=mail)
    for call in (added, invited):
        with pytest.raises(ConflictError) as raised:
            call(tenant, mail)
        assert raised.value.instance_code == "already_member"


def test_active_and_invited_count_together() -> None:
    tenant = a_tenant()
    for _ in range(3):
        a_member(tenant)
    a_member(tenant, is_active=False)
    invited(tenant, a_mail())
    added(tenant, a_mail())
    for call in (added, invited):
        with pytest.raises(QuotaExceededError) as raised:
            call(tenant, a_mail())
        assert raised.value.more == {"metric": "users", "limit": 5, "used": 5}


def test_inviting_again_replaces_and_an_expired_invitation_frees_its_place() -> None:
    tenant, mail = a_tenant(tier="starter"), a_mail()
    assert invited(tenant, mail) != invited(tenant, mail)
    with pytest.raises(QuotaExceededError):
        invited(tenant, a_mail())
    with time_machine.travel(datetime.now(UTC) + INVITATION_LIFETIME + timedelta(seconds=1)):
        invited(tenant, a_mail())


def test_every_fault_is_told_at_once() -> None:
    tenant = a_tenant()
    with open_platform_session() as session, pytest.raises(InvalidInputError) as raised:
        add_member(
            session,
            tenant_id=tenant,
            by=tenant,
            email="nobody",
            username="\x00",
            last_name="x" * 500,
            role="owner",
            permissions=["all:do"],
        )
    assert [fault.path for fault in raised.value.errors] == [
        "/email",
        "/username",
        "/last_name",
        "/role",
        "/permissions",
    ]
