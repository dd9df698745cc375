"""Real Postgres and Valkey for the whole run, a database of its own for each pytest worker."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import hypothesis
import psycopg
import pytest
from psycopg import sql

from core.local.account import Account
from core.local.postgres import OWNER, LocalPostgres
from core.local.valkey import LocalValkey
from core.settings import get_settings
from core.storage.installed import install_store, installed_store
from core.tenancy.engine import app_engine
from core.valkey import get_valkey
from tests.peers.tcp_proxy import TcpProxy

_TEMPLATE = "neozork_template"
_SERVERS = pytest.StashKey[tuple[LocalPostgres, LocalValkey, Path]]()

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")
    for name in list(os.environ):
        if name.startswith(("DATABASE_", "APP_DATABASE_", "REDIS_", "AWS_", "STRIPE_", "SENTRY_")):
            del os.environ[name]
    if hasattr(config, "workerinput"):
        os.environ.update(config.workerinput["neozork"])
        return
    servers = _start_servers()
    config.stash[_SERVERS] = servers
    os.environ.update(_environment(*servers))


def pytest_configure_node(node: object) -> None:
    node.workerinput["neozork"] = {
        name: os.environ[name] for name in _environment(*node.config.stash[_SERVERS])
    }


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SERVERS in config.stash:
        postgres, valkey, folder = config.stash[_SERVERS]
        postgres.stop()
        valkey.stop()
        shutil.rmtree(folder)


def _start_servers() -> tuple[LocalPostgres, LocalValkey, Path]:
    account = Account.current()
    folder = account.fresh_folder("t-")
    postgres = LocalPostgres(account, folder / "postgres", folder / "s")
    valkey = LocalValkey(account, folder / "valkey", folder / "s")
    postgres.start()
    valkey.start()
    return postgres, valkey, folder


def _environment(postgres: LocalPostgres, valkey: LocalValkey, folder: Path) -> dict[str, str]:
    return {
        "ENVIRONMENT": "test",
        "NEOZORK_ENV_FILE": "",
        "DATABASE_URL": postgres.url(database=_TEMPLATE),
        "NEOZORK_TEST_SUPERUSER_URL": postgres.url("postgres", "postgres"),
        "REDIS_URL": valkey.url(),
        "JWT_SECRET_KEY": "a secret of the tests, long enough to sign with",
        "RESULT_SIGNING_KEY": "a secret of the tests, long enough to sign results",
        "STORAGE_URL": f"file://{folder}/blobs",
        "WORKER_CACHE_DIR": f"{folder}/cache",
        "LOG_LEVEL": "warning",
        "METRICS_PORT": "0",
    }


def _superuser(database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
    url = os.environ["NEOZORK_TEST_SUPERUSER_URL"]
    return psycopg.connect(url.replace("/postgres?", f"/{database}?"), autocommit=True)


def _make_template() -> None:
    """Migrate the template once; the first worker does it, the others wait for its lock."""
    with _superuser() as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        known = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [_TEMPLATE]
        ).fetchone()
        if known:
            return
        making = sql.Identifier(f"{_TEMPLATE}_making")
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(making, sql.Identifier(OWNER))
        )
        url = os.environ["DATABASE_URL"].replace(_TEMPLATE, f"{_TEMPLATE}_making")
        subprocess.run(
            [sys.executable, "-m", "migrations.run"],
            check=True,
            env=os.environ | {"DATABASE_URL": url},
        )
        connection.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(making, sql.Identifier(_TEMPLATE))
        )


@pytest.fixture(scope="session")
def database(worker_id: str) -> Iterator[str]:
    """Give the pytest worker a migrated database and a Valkey database, and answer its name."""
    _make_template()
    name = f"neozork_{worker_id}"
    with _superuser() as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                sql.Identifier(name), sql.Identifier(_TEMPLATE), sql.Identifier(OWNER)
            )
        )
    os.environ["DATABASE_URL"] = os.environ["DATABASE_URL"].replace(_TEMPLATE, name)
    number = 0 if worker_id == "master" else int(worker_id.removeprefix("gw"))
    os.environ["REDIS_URL"] = os.environ["REDIS_URL"].replace("db=0", f"db={number}")

    get_settings.cache_clear()
    yield name
    app_engine().dispose()
    logging.disable()  # whatever still listens will hear its server stop


@pytest.fixture
def quiet_jobs(database: str) -> None:
    """Empty the job tables, for tests that look at a whole queue."""
    with _superuser(database) as connection:
        connection.execute("TRUNCATE neozork.jobs, neozork.job_units")
        connection.execute("TRUNCATE neozork.heartbeats, neozork.paused_queues")
        connection.execute("DELETE FROM neozork.turns WHERE tenant_id <> %s", ["0" * 32])


@pytest.fixture
def patient_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a transaction of this process stand still while other processes start."""
    monkeypatch.setattr("core.tenancy.session.IDLE_IN_TRANSACTION_MS", 600_000)


@pytest.fixture
def valkey_away(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point this process at a Valkey that does not answer."""
    yield from _away(monkeypatch, "REDIS_URL", f"unix:///nowhere/{database}")


@pytest.fixture
def postgres_away(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point this process at a Postgres that does not answer."""
    yield from _away(monkeypatch, "DATABASE_URL", f"postgresql://x:y@/{database}?host=/nowhere")


def _away(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv(name, url)
        _forget()
        yield
    _forget()


def _forget() -> None:
    for cached in (get_settings, get_valkey, installed_store):
        cached.cache_clear()


@pytest.fixture
def blob_folder(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Keep this process's blobs in a folder that can be taken away, and answer it."""
    assert database
    folder = tmp_path / "blobs"
    for _ in _away(monkeypatch, "STORAGE_URL", f"file://{folder}"):
        install_store(first=True)
        yield folder


@pytest.fixture
def postgres_proxy(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TcpProxy]:
    """Lead this process to its Postgres through a proxy that can be harmed."""
    assert database
    url, _, folder = get_settings().required("database_url").partition("?host=")
    with TcpProxy(Path(unquote(folder)) / ".s.PGSQL.5432") as proxy:
        proxied = url.replace("@/", f"@127.0.0.1:{proxy.port}/")
        for _ in _away(monkeypatch, "DATABASE_URL", proxied):
            yield proxy
            app_engine().dispose()


@pytest.fixture
def as_superuser(database: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """A connection that no policy holds, to look at what really stands in the tables."""
    with _superuser(database) as connection:
        yield connection
