"""A whole platform of its own for faults: servers, proxies before them, and real processes.

    client ─ front ─ web ──┐
                 workers ──┼─ a proxy each to Postgres and Valkey
    dispatcher, scheduler ─┘
    quiet workers ─────────── straight

The driver, too, goes straight: what it looks at, it sees.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg

from core.local.account import Account
from core.local.postgres import LocalPostgres
from core.local.valkey import LocalValkey
from core.processes import Program, Supervisor
from core.settings import get_settings
from core.storage.installed import installed_store
from core.tenancy.engine import app_engine, engine_for
from core.valkey import get_valkey
from tests.faults.stage import ROOT, STARTUP
from tests.faults.witnesses import WITNESSES
from tests.peers.tcp_proxy import TcpProxy

GROUPS = ("web", "worker", "center")
SERVERS = ("postgres", "valkey")
DISK_MB = 700
# By name: whose proxies it goes through, and what it runs.
_COMMANDS = {
    "web": ("web", ["gunicorn", "--config", "web/gunicorn.py", "faulty_web:app"]),
    "worker": ("worker", ["workers.main", "--queues", "interactive,money"]),
    "quiet": ("quiet", ["workers.main", "--queues", "bulk,housekeeping"]),
    "dispatcher": ("center", ["workers.dispatcher"]),
    "scheduler": ("center", ["scheduler.main"]),
}
_WAIT_S = 90.0
_CACHED = (get_settings, get_valkey, engine_for, installed_store)


class World:
    """The servers, the proxies, the programs, and the ways to harm each."""

    def __init__(self, folder: Path, account: Account, *, times: str, release: str = "1") -> None:
        self.folder = folder
        self.times = times
        self.release = release
        self.disk = folder / "disk"
        self.armed = folder / "armed"
        self.postgres = LocalPostgres(account, self.disk / "postgres", folder / "s")
        self.valkey = LocalValkey(account, folder / "valkey", folder / "s")
        self.proxies: dict[str, TcpProxy] = {}
        self.front: TcpProxy
        self.supervisor = Supervisor([])
        self.mends_servers = True

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Ask as superuser, on a connection of its own: the server may have been restarted."""
        with self.postgres.connect_as_superuser("neozork") as connection:
            return connection.execute(query, values).fetchall()

    def run(self, statement: str) -> None:
        with self.postgres.connect_as_superuser("neozork") as connection:
            connection.execute(statement)

    def until(self, condition: Callable[[], object], what: str, within_s: float = _WAIT_S) -> None:
        """Wait for a condition, keeping alive what should live; fail where it does not come."""
        deadline = time.monotonic() + within_s
        while not self._holds(condition):
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {within_s:.0f} s for {what}")
            self.rest(0.03)

    def rest(self, seconds: float) -> None:
        """Let time pass, keeping alive what should live."""
        deadline = time.monotonic() + seconds
        while True:
            self.look()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))

    def look(self) -> None:
        if self.mends_servers:
            for server in (self.postgres, self.valkey):
                if server.process is not None and server.process.poll() is not None:
                    server.start()
        self.supervisor.look()

    def _holds(self, condition: Callable[[], object]) -> object:
        with suppress(psycopg.OperationalError):
            return condition()
        return False

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/health/ready", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.front.port}"

    def program(self, name: str) -> Program:
        return next(program for program in self.supervisor.programs if program.name == name)

    def pid(self, name: str) -> int:
        """Answer the process of a program, once it runs."""
        self.until(lambda: self.supervisor.alive(name), f"{name} to run")
        return self.program(name).process.pid

    def start(self, name: str) -> Program:
        """Start a program by its name, of the present release."""
        group, command = _COMMANDS[name]
        if name == "worker" and self.times == "real":
            # Another unit is there to do a dead one's job, as on a platform of any size.
            command = [*command, "--units", "2"]
        log = self.folder / "logs" / f"{name}.log"
        environment = os.environ | self._environment(group)
        program = Program(name, [sys.executable, "-m", *command], environment, log, ROOT)
        self.supervisor.programs.append(program)
        self.supervisor.look()
        return program

    def show(self, web: Program) -> None:
        """Lead the customers to a web program."""
        self.front.upstream = _address(web)

    def retire(self, program: Program) -> None:
        """Tell a program to end, and wait for its end; nobody starts it again."""
        self.supervisor.programs.remove(program)
        if program.process is not None:
            program.process.terminate()
            program.process.wait(30)

    def arm(self, point: str, action: str) -> None:
        """Have the next process that reaches a point killed or stopped there."""
        making = self.folder / "arming"
        making.write_text(action)
        (self.armed / "reached").unlink(missing_ok=True)
        making.rename(self.armed / point)

    def reached(self) -> int | None:
        """Answer the process that an armed point took."""
        with suppress(FileNotFoundError):
            return int((self.armed / "reached").read_text())
        return None

    def _environment(self, group: str) -> dict[str, str]:
        own = {
            "PYTHONPATH": f"{STARTUP}{os.pathsep}{ROOT}",
            "TIMES": self.times,
            "FAULT": "",
            "RELEASE": self.release,
        }
        if group == "web":
            own |= {"PORT": str(free_port()), "OVERLAY": "late"}
        if group in GROUPS:
            own["FAULTS_ARMED"] = str(self.armed)
            postgres, valkey = (self.proxies[f"{group}.{server}"] for server in SERVERS)
            url = self.postgres.url().replace("@/", f"@127.0.0.1:{postgres.port}/")
            own["DATABASE_URL"] = url.partition("?")[0]
            own["REDIS_URL"] = f"redis://127.0.0.1:{valkey.port}/0"
        return own

    def begin(self, ends: ExitStack) -> None:
        for folder in (self.armed, self.folder / "logs"):
            folder.mkdir()
        self._mount(ends)
        for server in (self.postgres, self.valkey):
            server.start()
            ends.callback(server.stop)
        self.run("ALTER SYSTEM SET max_wal_size = '96MB'")
        self.run("ALTER SYSTEM SET min_wal_size = '32MB'")
        self.run("SELECT pg_reload_conf()")
        sockets = {
            "postgres": self.folder / "s" / ".s.PGSQL.5432",
            "valkey": self.folder / "s" / "valkey",
        }
        for group in GROUPS:
            for server in SERVERS:
                proxy = ends.enter_context(TcpProxy(sockets[server]))
                self.proxies[f"{group}.{server}"] = proxy
        self.front = ends.enter_context(TcpProxy(("127.0.0.1", 1)))
        ends.enter_context(self._as_environment())
        subprocess.run([sys.executable, "-m", "migrations.run"], check=True, cwd=ROOT)
        self.run(WITNESSES)
        ends.callback(self.supervisor.stop_all)
        for name in _COMMANDS:
            self.start(name)
        self.show(self.program("web"))
        self.until(self.is_ready, "the API to be ready")

    def _mount(self, ends: ExitStack) -> None:
        """Give Postgres a small disk of its own, where the machine lets us."""
        self.disk.mkdir()
        self.small_disk = (
            os.geteuid() == 0
            and not subprocess.run(
                [
                    "mount",
                    "-t",
                    "tmpfs",
                    "-o",
                    f"size={DISK_MB}m,mode=755",
                    "tmpfs",
                    str(self.disk),
                ],
                check=False,
                capture_output=True,
            ).returncode
        )
        if self.small_disk:
            ends.callback(subprocess.run, ["umount", "--lazy", str(self.disk)], check=True)

    @contextmanager
    def _as_environment(self) -> Iterator[None]:
        """Have this process, too, be at home in this world, until its end."""
        here = {
            "DATABASE_URL": self.postgres.url(),
            "REDIS_URL": self.valkey.url(),
            "STORAGE_URL": f"file://{self.folder}/blobs",
            "WORKER_CACHE_DIR": f"{self.folder}/cache",
            "JWT_SECRET_KEY": "a secret of the tests, long enough to sign with",
            "JWT_ACCESS_TOKEN_EXPIRE_MINUTES": "1440",
            "RESULT_SIGNING_KEY": "a secret of the tests, long enough to sign results",
            "ENVIRONMENT": "test",
            "NEOZORK_ENV_FILE": "",
            "LOG_LEVEL": "warning",
            "METRICS_PORT": "0",
            "WEB_CONCURRENCY": "1",
            "HOST": "127.0.0.1",
        }
        before = dict(os.environ)
        os.environ.update(here)
        _forget()
        try:
            yield
        finally:
            app_engine().dispose()
            os.environ.clear()
            os.environ.update(before)
            _forget()


@contextmanager
def open_world(*, times: str, logs: Path | None = None) -> Iterator[World]:
    """Stand a world up, and leave nothing of it but the logs, in a folder where one is named."""
    account = Account.current()
    folder = account.fresh_folder("c-")
    folder.chmod(0o755)
    try:
        with ExitStack() as ends:
            world = World(folder, account, times=times)
            world.begin(ends)
            yield world
    finally:
        if logs is not None:
            shutil.copytree(folder / "logs", logs, dirs_exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def listens(web: Program) -> bool:
    try:
        socket.create_connection(_address(web), timeout=1).close()
    except OSError:
        return False
    return True


def _address(web: Program) -> tuple[str, int]:
    return ("127.0.0.1", int(web.environment["PORT"]))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _forget() -> None:
    for cached in _CACHED:
        cached.cache_clear()
