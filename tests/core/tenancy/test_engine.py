"""Connections to a database that is there and says nothing."""

import pytest
from sqlalchemy import func, select

from core.errors import UnavailableError
from core.tenancy import engine
from core.tenancy.session import open_platform_session
from tests.peers.tcp_proxy import TcpProxy


def answer() -> object:
    with open_platform_session() as session:
        return session.scalar(select(func.current_database()))


@pytest.mark.timeout(30)
@pytest.mark.parametrize("way", ["sent", "answered"])
def test_one_that_never_answers_is_not_waited_for_for_ever(
    postgres_proxy: TcpProxy, database: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(engine, "ANSWERS_WITHIN_S", 0.5)
    assert answer() == database
    getattr(postgres_proxy, way).swallows = True
    with pytest.raises(UnavailableError):
        answer()
    postgres_proxy.heal()
    assert answer() == database
