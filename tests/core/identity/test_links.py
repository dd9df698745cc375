from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import time_machine

from core.audit.chain import list_entries
from core.errors import InvalidInputError, UnauthenticatedError
from core.identity.authentication import authenticate, login
from core.identity.links import LINK_LIFETIME, add_password_link, set_password
from core.tenancy.session import open_platform_session, open_session
from tests.builders import PASSWORD, a_mail, a_member, a_ref, a_tenant

pytestmark = pytest.mark.usefixtures("database")
NEW = "another horse battery"


def a_link(user_id: UUID) -> str:
    with open_platform_session() as session:
        return add_password_link(session, user_id=user_id).partition("#token=")[2]


def refused(token: str, password: str = NEW) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as raised:
        set_password(token, password)
    return raised.value


def test_a_link_sets_the_password_once() -> None:
    tenant, mail = a_tenant(), a_mail()
    token = a_link(a_member(tenant, email=mail, password=None))
    set_password(token, NEW)
    assert login(a_ref(tenant), email=mail, password=NEW, address=None)
    assert refused(token, "a third horse battery").instance_code == "link_not_valid"


def test_a_new_password_ends_the_old_one_its_tokens_and_other_links() -> None:
    tenant, mail = a_tenant(), a_mail()
    member = a_member(tenant, email=mail)
    signed_in = login(a_ref(tenant), email=mail, password=PASSWORD, address=None)
    other = a_link(member)
    set_password(a_link(member), NEW)
    with pytest.raises(UnauthenticatedError):
        authenticate(signed_in.access_token)
    with pytest.raises(UnauthenticatedError):
        login(a_ref(tenant), email=mail, password=PASSWORD, address=None)
    assert refused(other).instance_code == "link_not_valid"


def test_a_refused_password_leaves_the_link_good() -> None:
    mail = a_mail()
    token = a_link(a_member(a_tenant(), email=mail, password=None))
    for password, code in (("short", "password_too_short"), (mail, "password_is_known")):
        assert [fault.code for fault in refused(token, password).errors] == [code]
    set_password(token, NEW)


def test_a_link_expires() -> None:
    token = a_link(a_member(a_tenant()))
    with time_machine.travel(datetime.now(UTC) + LINK_LIFETIME + timedelta(seconds=1)):
        assert refused(token).instance_code == "link_not_valid"


@pytest.mark.parametrize("token", ["", "x", "\x00", "é", "\ud800"])
def test_what_is_no_link_is_refused(token: str) -> None:
    assert refused(token).instance_code == "link_not_valid"


def test_of_many_uses_at_once_exactly_one_wins() -> None:
    tenant, mail = a_tenant(), a_mail()
    member = a_member(tenant, email=mail, password=None)
    tokens = [a_link(member), a_link(member)]

    def use(number: int) -> str | None:
        password = f"horse battery {number}"
        try:
            set_password(tokens[number % 2], password)
        except InvalidInputError:
            return None
        return password

    with ThreadPoolExecutor(8) as pool:
        won = [password for password in pool.map(use, range(8)) if password is not None]
    assert len(won) == 1
    assert login(a_ref(tenant), email=mail, password=won[0], address=None)


def test_a_set_password_is_recorded_in_every_tenant_of_the_person() -> None:
    one, other = a_tenant(), a_tenant()
    member = a_member(one)
    a_member(other, user_id=member)
    set_password(a_link(member), NEW)
    for tenant in (one, other):
        with open_session(tenant) as session:
            assert list_entries(session, limit=1)[0][0]["action"] == "password.set"
