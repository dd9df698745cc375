import pytest

from tests.builders import PASSWORD, a_client, a_mail, a_member, a_tenant, a_user

pytestmark = pytest.mark.usefixtures("database")
LOGIN = "/api/v1/admin/auth/login"


def test_an_operator_signs_in_without_a_tenant() -> None:
    mail = a_mail()
    a_user(email=mail, is_operator=True)
    answer = a_client().post(LOGIN, json={"email": mail, "password": PASSWORD})
    assert answer.status_code == 200
    assert (answer.json["user"]["role"], answer.json["user"]["tenant_id"]) == ("operator", None)


def test_a_member_is_no_operator() -> None:
    mail = a_mail()
    a_member(a_tenant(), role="admin", email=mail)
    answer = a_client().post(LOGIN, json={"email": mail, "password": PASSWORD})
    assert (answer.status_code, answer.json["code"]) == (401, "invalid_credentials")


def test_an_operators_cookie_goes_to_the_operators_routes_alone() -> None:
    mail = a_mail()
    a_user(email=mail, is_operator=True)
    body = {"email": mail, "password": PASSWORD}
    answer = a_client().post(LOGIN, json=body, headers={"Sec-Fetch-Site": "same-origin"})
    assert "Path=/api/v1/admin/auth" in answer.headers["Set-Cookie"]
