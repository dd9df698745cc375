from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import ProgrammingError

from core.audit.chain import Head, head, list_entries, record, verify
from core.audit.models import AuditEntry
from core.tenancy.session import open_platform_session, open_session
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("database")
Superuser = psycopg.Connection[tuple[object, ...]]


def a_chain(length: int = 5) -> UUID:
    tenant = a_tenant()
    for step in range(length):
        with open_session(tenant) as session:
            record(session, actor=None, action="thing.made", target=f"thing:{step}")
    return tenant


def broken_at(tenant: UUID, kept: Head | None = None) -> int | None:
    with open_session(tenant) as session:
        return verify(session, kept=kept)


def test_an_untouched_chain_is_whole() -> None:
    assert broken_at(a_chain()) is None


def test_an_empty_chain_is_whole() -> None:
    assert broken_at(a_chain(0)) is None


def test_an_edited_entry_is_found(as_superuser: Superuser) -> None:
    tenant = a_chain()
    as_superuser.execute(
        "UPDATE neozork.audit_entries SET entry = replace(entry, 'thing:2', 'thing:9')"
        " WHERE tenant_id = %s AND number = 3",
        [tenant],
    )
    assert broken_at(tenant) == 3


def test_a_deleted_entry_is_found(as_superuser: Superuser) -> None:
    tenant = a_chain()
    as_superuser.execute(
        "DELETE FROM neozork.audit_entries WHERE tenant_id = %s AND number = 2", [tenant]
    )
    assert broken_at(tenant) == 2


def test_a_gap_closed_by_renumbering_is_found(as_superuser: Superuser) -> None:
    tenant = a_chain()
    as_superuser.execute(
        "DELETE FROM neozork.audit_entries WHERE tenant_id = %s AND number = 2", [tenant]
    )
    for number in (3, 4, 5):
        as_superuser.execute(
            "UPDATE neozork.audit_entries SET number = %s WHERE tenant_id = %s AND number = %s",
            [number - 1, tenant, number],
        )
    assert broken_at(tenant) == 2


def test_a_chain_that_was_moved_up_is_found(as_superuser: Superuser) -> None:
    tenant = a_chain(3)
    as_superuser.execute(
        "UPDATE neozork.audit_entries SET number = number + 10 WHERE tenant_id = %s", [tenant]
    )
    assert broken_at(tenant) == 1


def test_two_entries_that_changed_places_are_found(as_superuser: Superuser) -> None:
    tenant = a_chain()
    for old, new in ((3, 30), (4, 3), (30, 4)):
        as_superuser.execute(
            "UPDATE neozork.audit_entries SET number = %s WHERE tenant_id = %s AND number = %s",
            [new, tenant, old],
        )
    assert broken_at(tenant) == 3


def test_a_cut_tail_is_found_with_a_kept_head_alone(as_superuser: Superuser) -> None:
    tenant = a_chain()
    with open_session(tenant) as session:
        kept = head(session)
    as_superuser.execute(
        "DELETE FROM neozork.audit_entries WHERE tenant_id = %s AND number = 5", [tenant]
    )
    assert broken_at(tenant) is None
    assert broken_at(tenant, kept) == 5


def test_a_chain_forged_anew_is_found_with_a_kept_head(as_superuser: Superuser) -> None:
    tenant = a_chain(2)
    with open_session(tenant) as session:
        kept = head(session)
    as_superuser.execute("DELETE FROM neozork.audit_entries WHERE tenant_id = %s", [tenant])
    for step in range(3):
        with open_session(tenant) as session:
            record(session, actor=None, action="thing.forged", target=f"thing:{step}")
    assert broken_at(tenant) is None
    assert broken_at(tenant, kept) == 2


def test_eight_threads_appending_leave_no_gap() -> None:
    tenant = a_tenant()

    def append(number: int) -> None:
        with open_session(tenant) as session:
            record(session, actor=None, action="thing.made", target=f"thing:{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(80)))
    with open_session(tenant) as session:
        assert verify(session) is None
        assert head(session).number == 80
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == 80


def test_a_rolled_back_change_leaves_no_entry() -> None:
    tenant = a_chain(1)
    with open_session(tenant) as session:
        record(session, actor=None, action="thing.made", target="thing:lost")
        session.rollback()
    with open_session(tenant) as session:
        assert head(session).number == 1


@pytest.mark.parametrize("role", ["tenant", "platform"])
def test_no_role_of_the_platform_may_change_what_was_recorded(role: str) -> None:
    tenant = a_chain(1)
    for statement in (update(AuditEntry).values(entry="{}"), delete(AuditEntry)):
        opened = open_session(tenant) if role == "tenant" else open_platform_session()
        with pytest.raises(ProgrammingError, match="permission denied"), opened as session:
            session.execute(statement)


def test_a_tenant_cannot_append_to_another_chain() -> None:
    tenant, other = a_chain(1), a_chain(1)
    with pytest.raises(ProgrammingError, match="row-level security"), open_session(tenant) as mine:
        mine.add(AuditEntry(tenant_id=other, number=2, entry="{}", digest=b""))
    with pytest.raises(ValueError, match="platform session"), open_session(tenant) as mine:
        record(mine, actor=None, action="x", target="x", tenant_id=other)


def test_entries_are_listed_newest_first_page_by_page() -> None:
    tenant = a_chain(5)
    with open_session(tenant) as session:
        first, total, before = list_entries(session, limit=3)
        rest, _, end = list_entries(session, limit=3, before=before)
    assert [entry["number"] for entry in first + rest] == [5, 4, 3, 2, 1]
    assert (total, before, end) == (5, 3, None)
    assert first[0]["target"] == "thing:4"
