import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle, islice
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import func, select

from core.local.account import Account
from core.settings import get_settings
from core.tenancy.engine import app_engine
from core.tenancy.models import Tenant
from core.tenancy.roles import app_database_url, tenant_role
from core.tenancy.session import open_session
from core.trading.models import Strategy
from tests.builders import a_tenant

TENANTS = 12
THREADS = 8
QUESTIONS = 10_000
_PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
_PORT = 6432

pytestmark = pytest.mark.skipif(
    _PROGRAM is None and "CI" not in os.environ,
    reason="there is no pgbouncer here: apt-get install pgbouncer",
)


@contextmanager
def _pgbouncer(url: str) -> Iterator[str]:
    """Run a PgBouncer in transaction mode before a database, and answer the URL through it."""
    assert _PROGRAM, "CI must have pgbouncer: .ci/run installs it"
    account = Account.current()
    folder = account.fresh_folder("b-")
    parts = urlsplit(url)
    name = parts.path.removeprefix("/")
    (folder / "users").write_text(f'"{parts.username}" "{parts.password}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{name} = host={parse_qs(parts.query)['host'][0]}\n"
        f"[pgbouncer]\npool_mode = transaction\ndefault_pool_size = {THREADS // 2}\n"
        f"auth_type = scram-sha-256\nauth_file = {folder}/users\n"
        f"listen_addr =\nlisten_port = {_PORT}\nunix_socket_dir = {folder}\n"
    )
    for file in folder.iterdir():
        file.chmod(0o644)
    with (folder / "log").open("wb") as log:
        process = account.spawn(
            [_PROGRAM, f"{folder}/pgbouncer.ini"], log=log, dies_by=signal.SIGTERM
        )
    through = f"postgresql://{parts.netloc.rpartition('@')[0]}@/{name}"
    through += f"?host={quote(str(folder))}&port={_PORT}"
    try:
        _wait_until_ready(through)
        yield through
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        with suppress(psycopg.OperationalError):
            psycopg.connect(url).close()
            return
        assert time.monotonic() < deadline, "PgBouncer does not answer"
        time.sleep(0.02)


@pytest.fixture
def tenants(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[UUID]]:
    """Tenants with a strategy each that bears their id; sessions then go through PgBouncer."""
    del database
    made = [a_tenant() for _ in range(TENANTS)]
    for tenant in made:
        with open_session(tenant) as session:
            session.add(Strategy(name=str(tenant)))
    with _pgbouncer(app_database_url(get_settings())) as through:
        app_engine().dispose()
        monkeypatch.setenv("APP_DATABASE_URL", through)
        monkeypatch.setenv("DATABASE_POOL_SIZE", str(THREADS))
        get_settings.cache_clear()
        yield made
        app_engine().dispose()
    monkeypatch.undo()
    get_settings.cache_clear()


def _answered_right(tenant: UUID) -> bool:
    ours = select(func.string_agg(func.cast(Tenant.id, Strategy.name.type), ",")).scalar_subquery()
    with open_session(tenant) as session:
        return session.execute(select(Strategy.name, ours)).all() == [(str(tenant), str(tenant))]


def _wrong_answers(tenants: Sequence[UUID]) -> int:
    return sum(not _answered_right(tenant) for tenant in tenants)


def _wrong_answers_with_session_level_set(tenants: Sequence[UUID]) -> int:
    with ExitStack() as stack:
        url = app_database_url(get_settings())
        clients = [stack.enter_context(psycopg.connect(url, autocommit=True)) for _ in tenants]
        for client, tenant in zip(clients, tenants, strict=True):
            client.execute(f"SET ROLE {tenant_role(tenant)}")
            client.execute(f"SET search_path = {tenant_role(tenant)}")
        answers = [client.execute("SELECT name FROM strategies").fetchall() for client in clients]
    return sum(answer != [(str(tenant),)] for answer, tenant in zip(answers, tenants, strict=True))


def test_pgbouncer_mixes_no_tenants_where_a_session_level_set_would(tenants: list[UUID]) -> None:
    """The control comes first: its roles and paths stay in the connections that all then share."""
    assert _wrong_answers_with_session_level_set(tenants) > 0
    share = QUESTIONS // THREADS
    asked = [list(islice(cycle(tenants), number, number + share)) for number in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(_wrong_answers, asked)) == 0
