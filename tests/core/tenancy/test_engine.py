"""Connections to a database that is there and says nothing, and what they cost others."""

import subprocess
import sys
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import func, select

from core.errors import UnavailableError
from core.ids import PLATFORM
from core.local.platform import ROOT
from core.tenancy import engine
from core.tenancy.session import open_platform_session, run_as
from tests.peers.tcp_proxy import TcpProxy


def answer() -> object:
    with open_platform_session() as session:
        return session.scalar(select(func.current_database()))


@pytest.mark.timeout(30)
@pytest.mark.parametrize("way", ["sent", "answered"])
def test_one_that_never_answers_is_not_waited_for_for_ever(
    postgres_proxy: TcpProxy, database: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    assert answer() == database
    getattr(postgres_proxy, way).swallows = True
    with monkeypatch.context() as patch:
        patch.setattr(engine, "ANSWERS_WITHIN_S", 0.5)
        with pytest.raises(UnavailableError):
            answer()
    postgres_proxy.heal()
    assert answer() == database


@pytest.mark.parametrize(
    "ask", [answer, lambda: run_as(PLATFORM, select(func.current_database()), {})[0][0]]
)
def test_a_lost_connection_is_told_by_its_error_alone(
    database: str,
    as_superuser: "psycopg.Connection[tuple[object, ...]]",
    caplog: pytest.LogCaptureFixture,
    ask: Callable[[], object],
) -> None:
    for _ in range(10):
        assert ask() == database
        as_superuser.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert ask() == database
    assert not [line.getMessage() for line in caplog.records]


# Prints how often a transaction lets others go first; late answers are waited for more than once.
_WAITS = """
import gevent.monkey
gevent.monkey.patch_all()
import greenlet
from sqlalchemy import func, select
from core.ids import PLATFORM
from core.tenancy.session import run_as
me, waits = greenlet.getcurrent(), []
def heard(event, between):
    waits.append(between[0] is me)
def counted():
    waits.clear()
    run_as(PLATFORM, statement, {})
    return sum(waits)
statement = select(func.now())
run_as(PLATFORM, statement, {})
greenlet.settrace(heard)
print(min(counted() for _ in range(20)))
"""


def test_under_gevent_a_transaction_waits_for_its_answer_alone(database: str) -> None:
    assert database
    done = subprocess.run(
        [sys.executable, "-c", _WAITS], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "1\n"
