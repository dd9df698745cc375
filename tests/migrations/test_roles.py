import os
import secrets

import psycopg
import pytest
from sqlalchemy import select, text

from core.errors import ConfigurationError
from core.settings import get_settings
from core.tenancy.engine import app_engine
from core.tenancy.models import Tenant
from core.tenancy.session import open_session
from migrations import run
from migrations.roles import refuse_old_server
from tests.builders import a_tenant
from tests.conftest import _superuser


def _a_role(attributes: str) -> str:
    name = f"role_{secrets.token_hex(4)}"
    with _superuser() as superuser:
        superuser.execute(f"CREATE ROLE {name} LOGIN {attributes} PASSWORD 'a secret'")
    return name


def _log_in_as(name: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app_engine().dispose()
    url = get_settings().required("database_url")
    monkeypatch.setenv(variable, f"postgresql://{name}:a%20secret@{url.partition('@')[2]}")
    get_settings.cache_clear()


@pytest.mark.parametrize("version", [0, 9, 15])
def test_a_postgres_that_is_too_old_is_refused(version: int) -> None:
    refuse_old_server(16)
    with pytest.raises(ConfigurationError, match=f"Postgres {version} is too old"):
        refuse_old_server(version)


@pytest.mark.usefixtures("own_database")
def test_an_owner_that_may_not_create_roles_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _log_in_as(_a_role("CREATEDB"), "DATABASE_URL", monkeypatch)
    with pytest.raises(ConfigurationError, match="ALTER ROLE <that role> CREATEROLE"):
        run.migrate()


@pytest.mark.usefixtures("own_database")
def test_a_login_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _log_in_as("nobody_made_me", "APP_DATABASE_URL", monkeypatch)
    with pytest.raises(ConfigurationError, match="CREATE ROLE nobody_made_me LOGIN NOINHERIT"):
        run.migrate()


@pytest.mark.usefixtures("own_database")
@pytest.mark.parametrize("attributes", ["SUPERUSER", "BYPASSRLS", "CREATEROLE", "the owner's"])
def test_a_login_that_is_above_the_rules_is_refused(
    attributes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_owner = attributes == "the owner's"
    login = _a_role("IN ROLE neozork_owner" if of_owner else attributes)
    _log_in_as(login, "APP_DATABASE_URL", monkeypatch)
    with pytest.raises(ConfigurationError, match="Set APP_DATABASE_URL to a role that owns noth"):
        run.migrate()


@pytest.mark.usefixtures("own_database")
def test_the_owner_itself_is_refused_as_login(monkeypatch: pytest.MonkeyPatch) -> None:
    app_engine().dispose()
    monkeypatch.setenv("APP_DATABASE_URL", os.environ["DATABASE_URL"])
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError, match="nothing would keep the tenants apart"):
        run.migrate()


@pytest.mark.usefixtures("own_database")
def test_another_login_reaches_the_tenants_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    before = a_tenant()
    login = _a_role("NOINHERIT")
    _log_in_as(login, "APP_DATABASE_URL", monkeypatch)
    run.migrate()
    for tenant in (before, a_tenant()):
        with open_session(tenant) as session:
            assert session.scalar(text("SELECT session_user")) == login
            assert session.scalars(select(Tenant.id)).all() == [tenant]
    with (
        psycopg.connect(os.environ["APP_DATABASE_URL"]) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT count(*) FROM neozork.tenants")
