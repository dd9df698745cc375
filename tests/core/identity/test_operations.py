import pytest
from sqlalchemy import select

from core.audit.chain import list_entries
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.identity.authentication import login_operator
from core.identity.operations import create_superuser, set_tenant
from core.ids import PLATFORM
from core.jobs.models import Turn
from core.tenancy.models import Tenant
from core.tenancy.resolution import Signals, resolve
from core.tenancy.session import open_platform_session, open_session
from tests.builders import PASSWORD, a_mail, a_slug, a_tenant, a_user

pytestmark = pytest.mark.usefixtures("database")


def turns_of(slug: str) -> dict[str, tuple[int | None, bool]]:
    tenant = resolve(Signals(path=slug)).id
    with open_platform_session() as session:
        rows = session.execute(
            select(Turn.queue, Turn.cap, Turn.held).where(Turn.tenant_id == tenant)
        ).all()
    return {row.queue: (row.cap, row.held) for row in rows}


def test_a_tier_takes_its_caps_along() -> None:
    slug = a_slug()
    a_tenant(slug=slug, tier="starter")
    assert set_tenant(slug, tier="enterprise")["subscription_tier"] == "enterprise"
    assert turns_of(slug)["interactive"] == (32, False)


def test_a_suspended_tenants_jobs_are_held_until_it_is_active() -> None:
    slug = a_slug()
    a_tenant(slug=slug)
    set_tenant(slug, status="suspended")
    assert all(held for _, held in turns_of(slug).values())
    set_tenant(slug, tier="starter")
    assert all(held for _, held in turns_of(slug).values())
    set_tenant(slug, status="active")
    assert not any(held for _, held in turns_of(slug).values())


def test_a_tenant_whose_schema_is_not_there_yet_keeps_its_status() -> None:
    slug = a_slug()
    tenant = a_tenant(slug=slug)
    with open_platform_session() as session:
        session.get_one(Tenant, tenant).status = "provisioning"
    with pytest.raises(ConflictError) as raised:
        set_tenant(slug, status="active")
    assert raised.value.instance_code == "tenant_provisioning"
    assert set_tenant(slug, tier="starter")["status"] == "provisioning"


def test_a_host_of_its_own_is_one_tenants() -> None:
    slug, other = a_slug(), a_slug()
    tenant = a_tenant(slug=slug)
    a_tenant(slug=other)
    host = f"{slug}.own.example"
    assert set_tenant(slug, host=f"{host.upper()}.")["domain"] == host
    assert resolve(Signals(host=host)).id == tenant
    with pytest.raises(ConflictError) as raised:
        set_tenant(other, host=host)
    assert raised.value.instance_code == "domain_taken"
    assert set_tenant(slug, host="")["domain"] is None


def test_a_change_is_recorded() -> None:
    slug = a_slug()
    tenant = a_tenant(slug=slug)
    set_tenant(slug, open_registration=True, domains=["Acme.example"])
    with open_session(tenant) as session:
        entry = list_entries(session, limit=1)[0][0]
    assert entry["detail"] == {
        "registration_open": True,
        "registration_domains": ["acme.example"],
    }


def test_unknown_tiers_statuses_and_tenants_are_refused() -> None:
    with pytest.raises(InvalidInputError) as raised:
        set_tenant("any", tier="gold", status="paused")
    assert [fault.path for fault in raised.value.errors] == ["/tier", "/status"]
    with pytest.raises(NotFoundError):
        set_tenant("no-such-firm", tier="starter")


def test_an_operator_is_made_once_and_recorded_by_the_platform() -> None:
    mail = a_mail()
    operator = create_superuser(mail, PASSWORD)
    assert login_operator(email=mail, password=PASSWORD, address=None).user["id"] == str(operator)
    with pytest.raises(ConflictError) as raised:
        create_superuser(mail, PASSWORD)
    assert raised.value.instance_code == "already_operator"
    with pytest.raises(InvalidInputError):
        create_superuser("nobody", "short")
    assert PLATFORM.int == 0


def test_a_known_person_becomes_an_operator_by_their_password_alone() -> None:
    mail = a_mail()
    person = a_user(email=mail)
    with pytest.raises(ConflictError) as raised:
        create_superuser(mail, "wrong horse battery")
    assert raised.value.instance_code == "email_not_available"
    assert create_superuser(mail, PASSWORD) == person
