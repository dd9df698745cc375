"""A database of a test's own, since a migration changes the whole of it."""

import secrets
from collections.abc import Iterator

import pytest
from psycopg import sql

from core.local.postgres import OWNER
from core.settings import get_settings
from core.tenancy.engine import app_engine
from tests.conftest import _TEMPLATE, _superuser


@pytest.fixture(params=[_TEMPLATE])
def own_database(
    request: pytest.FixtureRequest, database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Give the test a migrated database, or an empty one, and answer its name."""
    name = f"neozork_own_{secrets.token_hex(4)}"
    with _superuser() as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                sql.Identifier(name), sql.Identifier(request.param), sql.Identifier(OWNER)
            )
        )
        app_engine().dispose()
        url = get_settings().required("database_url")
        monkeypatch.setenv("DATABASE_URL", url.replace(f"/{database}?", f"/{name}?"))
        get_settings.cache_clear()
        yield name
        app_engine().dispose()
        monkeypatch.undo()
        get_settings.cache_clear()
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
