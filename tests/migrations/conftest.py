"""A database of a test's own, since a migration changes the whole of it."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg import sql

from core.local.postgres import OWNER
from core.settings import get_settings
from core.tenancy.engine import app_engine
from migrations import run
from tests.conftest import _TEMPLATE, _superuser
from tests.migrations.releases import a_later_release, head


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


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Make this process the later release, whose last revision says some SQL."""

    def become(sql: str) -> Path:
        ini = a_later_release(tmp_path, head=head(), sql=sql)
        monkeypatch.setattr(run, "_INI", ini)
        return ini

    return become
