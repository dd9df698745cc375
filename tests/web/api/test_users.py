from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from tests.builders import a_client, a_mail, a_member, a_tenant

pytestmark = pytest.mark.usefixtures("database")
USERS = "/api/v1/users/"
FIELDS = {
    "id",
    "tenant_id",
    "email",
    "username",
    "first_name",
    "last_name",
    "role",
    "permissions",
    "subscription_tier",
    "is_active",
    "created_at",
    "last_login",
}


@pytest.fixture(scope="module")
def tenant(database: str) -> UUID:
    del database
    return a_tenant(tier="enterprise")


@pytest.fixture(scope="module")
def admin(tenant: UUID) -> FlaskClient:
    return a_client(tenant, role="admin")


def test_a_user_is_answered_as_published(tenant: UUID, admin: FlaskClient) -> None:
    user = admin.get(USERS + str(a_member(tenant))).json
    assert user.keys() >= FIELDS
    assert (user["role"], user["is_active"], user["tenant_id"]) == ("user", True, str(tenant))
    assert "password" not in str(user)
    assert user.keys() == admin.get(USERS).json["items"][0].keys()


def test_an_added_user_gets_a_link_and_no_password(admin: FlaskClient) -> None:
    answer = admin.post(USERS, json={"email": a_mail(), "role": "viewer"})
    assert answer.status_code == 201
    assert answer.json["path"].startswith("/app/password#token=")
    assert answer.json["user"]["role"] == "viewer"


def test_a_membership_is_changed_and_ended(tenant: UUID, admin: FlaskClient) -> None:
    path = USERS + str(a_member(tenant))
    assert admin.put(path, json={"role": "viewer", "is_active": False}).json["role"] == "viewer"
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == 404
    assert admin.delete(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"role": "owner"}, "/role"),
        ({"role": 1}, "/role"),
        ({"permissions": ["all"]}, "/permissions"),
        ({"permissions": "all"}, "/permissions"),
        ({"permissions": [1]}, "/permissions/0"),
        ({"is_active": "yes"}, "/is_active"),
        ({"is_active": 1}, "/is_active"),
        ({"is_active": None}, "/is_active"),
        ({"email": "new@x.example"}, "/email"),
        ({"password": "correct horse battery"}, "/password"),
    ],
)
def test_a_change_that_is_wrong_is_422(
    tenant: UUID, admin: FlaskClient, body: dict[str, Any], pointer: str
) -> None:
    answer = admin.put(USERS + str(a_member(tenant)), json=body)
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json["errors"]] == [pointer]


def test_the_last_admin_stays(admin: FlaskClient) -> None:
    admins = [user for user in admin.get(USERS).json["items"] if user["role"] == "admin"]
    answer = admin.put(USERS + admins[0]["id"], json={"role": "user"})
    assert (answer.status_code, answer.json["code"]) == (409, "last_admin")


def test_members_may_not_see_the_people_and_auditors_may(tenant: UUID) -> None:
    assert a_client(tenant, role="user").get(USERS).status_code == 403
    assert a_client(tenant, role="auditor").get(USERS).status_code == 200
    assert a_client(tenant, role="auditor").post(USERS, json={}).status_code == 403
