from urllib.parse import unquote, urlsplit
from uuid import UUID

import pytest

from core.errors import ConfigurationError
from core.settings import Settings
from core.tenancy.roles import app_database_url, tenant_role


def a_login(owner: str, *, app: str | None = None) -> str:
    return app_database_url(Settings(database_url=owner, app_database_url=app))


def test_a_tenants_role_is_named_by_its_id_alone() -> None:
    tenant = UUID("6f9619ff-8b86-4d01-b42d-00cf4fc964ff")
    assert tenant_role(tenant) == "tenant_6f9619ff8b864d01b42d00cf4fc964ff"


def test_the_logins_password_is_derived_from_the_owners_and_tells_nothing_of_it() -> None:
    login = urlsplit(a_login("postgres://owner:s%40cret@db.example:5432/main?sslmode=require"))
    assert (login.username, login.hostname, login.port) == ("neozork_app", "db.example", 5432)
    assert (login.path, login.query) == ("/main", "sslmode=require")
    assert len(unquote(login.password or "")) == 64
    again = a_login("postgresql://somebody:s%40cret@other/main")
    assert urlsplit(again).password == login.password
    assert urlsplit(a_login("postgresql://owner:other@db/main")).password != login.password


def test_a_login_that_is_named_is_taken() -> None:
    assert a_login("postgresql://o:p@db/x", app="postgres://me:p@db/x") == "postgresql://me:p@db/x"


def test_an_owner_without_a_password_needs_a_login_of_its_own() -> None:
    with pytest.raises(ConfigurationError, match="set APP_DATABASE_URL"):
        a_login("postgresql://owner@/main?host=/run")
