from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from core.audit.chain import list_entries, verify
from core.errors import ConflictError, InvalidInputError, NotFoundError, QuotaExceededError
from core.identity.members import (
    Member,
    find_member,
    list_members,
    remove_member,
    update_member,
)
from core.identity.models import User
from core.tenancy.session import open_platform_session, open_session
from tests.builders import a_mail, a_member, a_tenant

pytestmark = pytest.mark.usefixtures("database")


def changed(tenant: UUID, user_id: UUID, **changes: Any) -> Member:
    with open_platform_session() as session:
        return update_member(session, tenant_id=tenant, user_id=user_id, by=user_id, **changes)


def removed(tenant: UUID, user_id: UUID) -> None:
    with open_platform_session() as session:
        remove_member(session, tenant_id=tenant, user_id=user_id, by=user_id)


def everyone(tenant: UUID) -> list[Member]:
    with open_platform_session() as session:
        return list_members(session, tenant_id=tenant, limit=100)[0]


def test_a_document_has_the_published_fields() -> None:
    tenant, mail = a_tenant(), a_mail()
    member = a_member(tenant, email=mail, role="viewer")
    with open_platform_session() as session:
        document = find_member(session, tenant_id=tenant, user_id=member).as_document()
    assert {
        "id": str(member),
        "tenant_id": str(tenant),
        "email": mail,
        "role": "viewer",
        "subscription_tier": "professional",
        "is_active": True,
        "last_login": None,
    }.items() <= document.items()
    assert {"username", "first_name", "last_name", "permissions", "created_at"} <= document.keys()
    assert "strategies:read" in document["permissions"]


def test_members_are_listed_page_by_page_and_never_another_tenants() -> None:
    tenant = a_tenant()
    members = [a_member(tenant) for _ in range(5)]
    a_member(a_tenant())
    seen, cursor = [], None
    with open_platform_session() as session:
        while True:
            page, total, cursor = list_members(session, tenant_id=tenant, limit=2, cursor=cursor)
            assert total == 5
            seen += [member.id for member in page]
            if cursor is None:
                break
    assert seen == members


@pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "\ud800"])
def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    tenant = a_tenant()
    with open_platform_session() as session, pytest.raises(InvalidInputError) as raised:
        list_members(session, tenant_id=tenant, limit=2, cursor=cursor)
    assert raised.value.instance_code == "invalid_cursor"


def test_another_tenants_member_is_not_found() -> None:
    tenant, stranger = a_tenant(), a_member(a_tenant())
    answers = []
    for user_id in (stranger, uuid4()):
        for call in (changed, removed):
            with pytest.raises(NotFoundError) as raised:
                call(tenant, user_id)
            answers.append(raised.value.problem())
    assert all(answer == answers[0] for answer in answers)


def test_a_change_is_of_the_membership_and_recorded() -> None:
    tenant = a_tenant()
    a_member(tenant, role="admin")
    member = a_member(tenant)
    after = changed(tenant, member, role="viewer", permissions=["audit:read"])
    assert (after.role, after.extra_permissions) == ("viewer", ("audit:read",))
    assert "audit:read" in after.permissions
    with open_session(tenant) as session:
        entry = list_entries(session, limit=1)[0][0]
        assert verify(session) is None
    assert entry["detail"] == {"role": "viewer", "permissions": ["audit:read"]}


def test_a_change_that_changes_nothing_is_not_recorded() -> None:
    tenant = a_tenant()
    member = a_member(tenant)
    changed(tenant, member, role="user", is_active=True)
    with open_session(tenant) as session:
        assert list_entries(session, limit=1)[1] == 0


def test_unknown_roles_and_permissions_are_refused() -> None:
    tenant = a_tenant()
    member = a_member(tenant)
    with pytest.raises(InvalidInputError) as raised:
        changed(tenant, member, role="owner", permissions=["all:do"])
    assert {fault.path for fault in raised.value.errors} == {"/role", "/permissions"}


@pytest.mark.parametrize("change", [{"role": "user"}, {"is_active": False}, None])
def test_the_last_active_admin_stays(change: dict[str, Any] | None) -> None:
    tenant = a_tenant()
    boss = a_member(tenant, role="admin")
    a_member(tenant, role="admin", is_active=False)
    a_member(tenant)
    with pytest.raises(ConflictError) as raised:
        removed(tenant, boss) if change is None else changed(tenant, boss, **change)
    assert raised.value.instance_code == "last_admin"
    second = a_member(tenant, role="admin")
    removed(tenant, boss) if change is None else changed(tenant, boss, **change)
    assert [m.id for m in everyone(tenant) if m.role == "admin" and m.is_active] == [second]


def test_two_admins_leaving_at_once_leave_one() -> None:
    for _ in range(5):
        tenant = a_tenant()
        admins = [a_member(tenant, role="admin") for _ in range(2)]

        def leave(user_id: UUID, tenant: UUID = tenant) -> bool:
            try:
                removed(tenant, user_id)
            except ConflictError:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(leave, admins)) == [False, True]


def test_a_removed_member_remains_a_person() -> None:
    tenant = a_tenant()
    a_member(tenant, role="admin")
    member = a_member(tenant)
    removed(tenant, member)
    assert member not in [known.id for known in everyone(tenant)]
    with open_platform_session() as session:
        assert session.scalar(select(User.id).where(User.id == member)) == member


def test_a_member_does_not_come_back_into_a_full_plan() -> None:
    tenant = a_tenant(tier="starter")
    a_member(tenant, role="admin")
    member = a_member(tenant, is_active=False)
    with pytest.raises(QuotaExceededError):
        changed(tenant, member, is_active=True)
