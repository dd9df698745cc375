import threading
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from core.ids import PLATFORM
from core.jobs.kinds import PROVISION_TENANT
from core.jobs.models import Job
from core.tenancy.engine import app_engine
from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session
from tests.builders import PASSWORD, a_client, a_mail, a_slug
from web.api import tenants
from workers.perform import perform

pytestmark = pytest.mark.usefixtures("database")


def firm(**changes: str) -> dict[str, str]:
    return {
        "name": "Acme Trading",
        "subdomain": a_slug(),
        "admin_email": a_mail(),
        "admin_username": "ada",
        "admin_password": PASSWORD,
    } | changes


class Provisioner(threading.Thread):
    """A worker that makes the tenant of a subdomain as soon as it is asked for."""

    def __init__(self, subdomain: str) -> None:
        super().__init__()
        self.subdomain = subdomain
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            with open_platform_session() as session:
                tenant = session.scalar(select(Tenant.id).where(Tenant.subdomain == self.subdomain))
                job = session.scalar(select(Job.id).where(Job.key == str(tenant)))
            # The sign-up waits by now, and must hold no session while it does.
            if job is not None and app_engine().pool.checkedout() == 0:
                perform(PROVISION_TENANT, str(PLATFORM), str(job))
                return

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()


def test_a_sign_up_answers_once_the_firm_is_ready() -> None:
    body = firm()
    with Provisioner(body["subdomain"]):
        answer = a_client().post("/api/v1/tenants", json=body)
    assert answer.status_code == 201
    assert {
        "id",
        "name",
        "subdomain",
        "domain",
        "status",
        "subscription_tier",
        "created_at",
    } <= answer.json["tenant"].keys()
    assert (answer.json["tenant"]["status"], answer.json["user"]["role"]) == ("trialing", "admin")
    assert PASSWORD not in answer.text
    login = {"email": body["admin_email"], "password": PASSWORD}
    path = f"/api/v1/tenants/{body['subdomain']}/auth/login"
    token = a_client().post(path, json=login).json["access_token"]
    listed = a_client().get("/api/v1/jobs/", headers={"Authorization": f"Bearer {token}"})
    assert listed.json["items"] == []


def test_a_sign_up_that_takes_too_long_is_202(monkeypatch: Any) -> None:
    monkeypatch.setattr("core.jobs.waiting.wait_for_job.__kwdefaults__", {"within_s": 0.1})
    answer = a_client().post("/api/v1/tenants", json=firm())
    assert answer.status_code == 202
    assert answer.json["tenant"]["status"] == "provisioning"
    with open_platform_session() as session:
        key = str(UUID(answer.json["tenant"]["id"]))
        assert session.scalar(select(Job.status).where(Job.key == key)) == "queued"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "n" * 201}, "/name"),
        ({"subdomain": "Not A Slug"}, "/subdomain"),
        ({"subdomain": "api"}, "/subdomain"),
        ({"subdomain": "x" * 64}, "/subdomain"),
        ({"admin_email": "nobody"}, "/admin_email"),
        ({"admin_email": "a@" + "b" * 300 + ".example"}, "/admin_email"),
        ({"admin_username": "u" * 65}, "/admin_username"),
        ({"admin_password": "short"}, "/admin_password"),
        ({"admin_password": "p4" * 200}, "/admin_password"),
    ],
)
def test_a_sign_up_that_is_wrong_is_422(change: dict[str, str], pointer: str) -> None:
    answer = a_client().post("/api/v1/tenants", json=firm(**change))
    assert answer.status_code == 422
    assert {fault["path"] for fault in answer.json["errors"]} == {pointer}


def test_a_taken_subdomain_is_409(monkeypatch: Any) -> None:
    monkeypatch.setattr("core.jobs.waiting.wait_for_job.__kwdefaults__", {"within_s": 0.0})
    body = firm()
    a_client().post("/api/v1/tenants", json=body)
    answer = a_client().post("/api/v1/tenants", json=firm(subdomain=body["subdomain"]))
    assert (answer.status_code, answer.json["code"]) == (409, "subdomain_taken")


def test_every_field_is_needed_and_no_other() -> None:
    answer = a_client().post("/api/v1/tenants", json={"plan": "enterprise"})
    codes = {fault["path"]: fault["code"] for fault in answer.json["errors"]}
    assert codes.pop("/plan") == "unknown_key"
    assert set(codes) == {f"/{name}" for name in firm()}
    assert set(codes.values()) == {"required"}
    assert tenants.SignUpBody().fields.keys() == firm().keys()
