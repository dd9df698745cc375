"""Connections to a database that is there and says nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.errors import UnavailableError
from core.settings import get_settings
from core.tenancy import engine
from core.tenancy.session import open_platform_session
from tests.peers.tcp_proxy import TcpProxy


@pytest.fixture
def proxy(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TcpProxy]:
    """A proxy to the database, which this process goes through."""
    assert database
    url, _, folder = get_settings().required("database_url").partition("?host=")
    with TcpProxy(Path(folder.replace("%2F", "/")) / ".s.PGSQL.5432") as proxy:
        with monkeypatch.context() as patch:
            patch.setenv("DATABASE_URL", url.replace("@/", f"@127.0.0.1:{proxy.port}/"))
            get_settings.cache_clear()
            yield proxy
            engine.app_engine().dispose()
        get_settings.cache_clear()


def answer() -> object:
    with open_platform_session() as session:
        return session.scalar(select(func.current_database()))


@pytest.mark.timeout(30)
@pytest.mark.parametrize("way", ["sent", "answered"])
def test_one_that_never_answers_is_not_waited_for_for_ever(
    proxy: TcpProxy, database: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(engine, "ANSWERS_WITHIN_S", 0.5)
    assert answer() == database
    getattr(proxy, way).swallows = True
    with pytest.raises(UnavailableError):
        answer()
    proxy.heal()
    assert answer() == database
