from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from core import clock
from core.audit.chain import list_entries, verify
from core.errors import ConflictError, InvalidInputError, NeozorkError, ThrottledError
from core.identity.authentication import authenticate, login
from core.identity.links import set_password
from core.identity.models import TenantUser, User
from core.identity.signup import SignedUp, create_tenant, provision_tenant, sign_up
from core.identity.throttling import FAILURES_PER_ACCOUNT
from core.ids import PLATFORM
from core.jobs.control import cancel_job
from core.jobs.dead_letters import retry_job
from core.jobs.kinds import PROVISION_TENANT
from core.jobs.models import Job, Turn
from core.jobs.running import perform
from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session, open_session
from tests.builders import PASSWORD, a_mail, a_ref, a_slug, a_user

pytestmark = pytest.mark.usefixtures("database")


def signed_up(slug: str, email: str, password: str = PASSWORD, **more: Any) -> SignedUp:
    return sign_up(
        name="Acme Trading",
        subdomain=slug,
        admin_email=email,
        admin_username="ada",
        admin_password=password,
        **more,
    )


def refusal(slug: str, email: str, password: str = PASSWORD, **more: Any) -> NeozorkError:
    with pytest.raises(NeozorkError) as raised:
        signed_up(slug, email, password, **more)
    return raised.value


def status_of(slug: str) -> str | None:
    with open_platform_session() as session:
        return session.scalar(select(Tenant.status).where(Tenant.subdomain == slug))


def test_a_sign_up_makes_tenant_admin_turns_and_job_at_once() -> None:
    slug, mail = a_slug(), a_mail()
    answer = signed_up(slug, mail)
    assert answer.tenant["status"] == "provisioning"
    assert answer.tenant["subscription_tier"] == "starter"
    assert answer.user.role == "admin"
    tenant = UUID(answer.tenant["id"])
    with open_platform_session() as session:
        job = session.get_one(Job, answer.job_id)
        turns = session.scalars(select(Turn.cap).where(Turn.tenant_id == tenant)).all()
    assert (job.tenant_id, job.kind, job.key) == (PLATFORM, "tenancy.provision", str(tenant))
    assert len(turns) == 4


def test_the_job_makes_the_schema_and_begins_the_trial() -> None:
    slug, mail = a_slug(), a_mail()
    answer = signed_up(slug, mail)
    perform(provision_tenant, PLATFORM, answer.job_id)
    assert status_of(slug) == "trialing"
    with open_platform_session() as session:
        ends = session.scalar(select(Tenant.trial_ends_at).where(Tenant.subdomain == slug))
    assert ends is not None
    assert abs(ends - clock.now() - timedelta(days=14)) < timedelta(minutes=5)
    ref = a_ref(UUID(answer.tenant["id"]))
    principal = authenticate(login(ref, email=mail, password=PASSWORD, address=None).access_token)
    assert principal.role == "admin"
    with open_session(ref.id) as session:
        assert verify(session) is None
        seen = [entry["action"] for entry in list_entries(session, limit=10)[0]]
    assert seen == ["session.opened", "tenant.provisioned", "tenant.signed_up"]


def test_a_late_repetition_of_the_job_gives_no_second_trial() -> None:
    slug = a_slug()
    answer = signed_up(slug, a_mail())
    perform(provision_tenant, PLATFORM, answer.job_id)
    with open_platform_session() as session:
        tenant = session.get_one(Tenant, UUID(answer.tenant["id"]))
        tenant.status = "active"
        session.get_one(Job, answer.job_id).status = "queued"
    perform(provision_tenant, PLATFORM, answer.job_id)
    assert status_of(slug) == "active"


def test_a_firm_whose_job_was_cancelled_is_finished_by_trying_it_again() -> None:
    slug = a_slug()
    answer = signed_up(slug, a_mail())
    with open_platform_session() as session:
        cancel_job(session, answer.job_id)
    perform(provision_tenant, PLATFORM, answer.job_id)
    assert status_of(slug) == "provisioning"
    with open_platform_session() as session:
        retry_job(session, answer.job_id)
    perform(provision_tenant, PLATFORM, answer.job_id)
    assert status_of(slug) == "trialing"


def test_a_taken_subdomain_is_told_and_leaves_no_person() -> None:
    slug, mail = a_slug(), a_mail()
    signed_up(slug, a_mail())
    answer = refusal(slug, mail)
    assert isinstance(answer, ConflictError)
    assert answer.instance_code == "subdomain_taken"
    with open_platform_session() as session:
        assert session.scalar(select(User.id).where(User.email == mail)) is None


def test_of_many_sign_ups_for_one_subdomain_exactly_one_wins() -> None:
    slug = a_slug()

    def attempt(_number: int) -> str:
        try:
            signed_up(slug, a_mail())
        except ConflictError as error:
            return error.instance_code
        return "won"

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(attempt, range(8)))
    assert answers == ["subdomain_taken"] * 7 + ["won"]
    with open_platform_session() as session:
        tenant = select(Tenant.id).where(Tenant.subdomain == slug).scalar_subquery()
        members = session.scalar(select(func.count()).where(TenantUser.tenant_id == tenant))
    assert members == 1


def test_a_known_person_signs_a_second_firm_up_by_their_password() -> None:
    mail = a_mail()
    first = signed_up(a_slug(), mail)
    wrong = refusal(a_slug(), mail, "wrong horse battery")
    assert wrong.instance_code == "email_not_available"
    second = signed_up(a_slug(), mail.upper())
    assert second.user.id == first.user.id


def test_guessing_by_signing_up_is_throttled() -> None:
    mail = a_mail()
    a_user(email=mail)
    for _ in range(FAILURES_PER_ACCOUNT):
        refusal(a_slug(), mail, "wrong horse battery", address="203.0.113.2")
    assert isinstance(refusal(a_slug(), mail, address="203.0.113.2"), ThrottledError)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InvalidInputError) as raised:
        sign_up(
            name=" ",
            subdomain="-x",
            admin_email="ada@",
            admin_username="a\x00",
            admin_password="short",
        )
    assert [fault.path for fault in raised.value.errors] == [
        "/name",
        "/subdomain",
        "/admin_email",
        "/admin_username",
        "/admin_password",
    ]


@pytest.mark.parametrize(
    ("subdomain", "code"),
    [
        ("api", "subdomain_reserved"),
        ("admin", "subdomain_reserved"),
        ("Acme", "subdomain_not_valid"),
        ("a" * 64, "subdomain_not_valid"),
        ("a.b", "subdomain_not_valid"),
        ("6f9619ff8b864d01b42d00cf4fc964ff", "subdomain_not_valid"),
        ("acme\n", "subdomain_not_valid"),
    ],
)
def test_a_subdomain_is_a_host_name_of_its_own(subdomain: str, code: str) -> None:
    answer = refusal(subdomain, a_mail())
    assert [(fault.path, fault.code) for fault in answer.errors] == [("/subdomain", code)]


@pytest.mark.parametrize(
    "email",
    [
        "ada",
        "@example.com",
        "ada@example.com\n x",
        "ada@exa mple.com",
        "ada@@example.com",
        "ada@-example.com",
        "ada@example..com",
        "ada\x00@example.com",
        "a" * 65 + "@example.com",
        "ada@" + "e" * 260 + ".com",
        "ada@\ud800.com",
    ],
)
def test_what_is_no_mail_is_refused(email: str) -> None:
    answer = refusal(a_slug(), email)
    assert ("/admin_email", "email_not_valid") in [(f.path, f.code) for f in answer.errors]


def test_a_tenant_made_from_python_is_ready_with_a_link_for_its_admin() -> None:
    slug = a_slug()
    mail = f"admin@{slug}.example.com"
    made = create_tenant(name="Acme Trading", subdomain=slug, admin_email=mail)
    assert made.tenant["status"] == "trialing"
    assert (made.user.username, made.user.role) == ("admin", "admin")
    assert made.password_path is not None
    set_password(made.password_path.partition("#token=")[2], PASSWORD)
    token = login(a_ref(made.id), email=mail, password=PASSWORD, address=None).access_token
    assert authenticate(token).tenant_id == made.id
    with open_session(made.id) as session:
        assert verify(session) is None


def test_a_tenant_made_from_python_with_a_password_needs_no_link() -> None:
    slug, mail = a_slug(), a_mail()
    made = create_tenant(name="Acme", subdomain=slug, admin_email=mail, admin_password=PASSWORD)
    assert made.password_path is None
    assert login(a_ref(made.id), email=mail, password=PASSWORD, address=None)
    again = create_tenant(name="Acme Two", subdomain=a_slug(), admin_email=mail)
    assert again.password_path is None
    assert again.user.id == made.user.id


def test_a_tenant_whose_maker_dies_is_finished_by_the_job() -> None:
    made = create_tenant(name="Acme", subdomain=a_slug(), admin_email=a_mail())
    with open_platform_session() as session:
        job = session.scalars(
            select(Job).where(Job.kind == PROVISION_TENANT.name, Job.key == str(made.id))
        ).one()
        assert job.not_before > clock.now()
        job.not_before = job.created_at
        session.get_one(Tenant, made.id).status = "provisioning"
    perform(provision_tenant, PLATFORM, job.id)
    assert a_ref(made.id).status == "trialing"
