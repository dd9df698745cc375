"""The whole platform on one machine: embedded servers where none are named, and the Procfile."""

import fcntl
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from core.errors import ConfigurationError
from core.local.account import Account
from core.local.postgres import LocalPostgres
from core.local.secrets import kept_secret
from core.local.valkey import LocalValkey
from core.logging import get_logger
from core.processes import Program, Supervisor
from core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
_READY_WITHIN_S = 180.0
# A sign-up waits for a worker: whoever is told "ready" may sign up at once.
_NEEDED = ("database", "redis", "workers", "dispatcher")
_ANSWERS_WITHIN_S = 10.0
_LOCK = "lock"
SETTINGS_FILE = "settings.env"
log = get_logger(__name__)


@dataclass
class Platform:
    """A running platform: where it answers, and the supervisor that keeps it alive."""

    url: str
    data: Path
    environment: dict[str, str]
    supervisor: Supervisor
    servers: list[LocalPostgres | LocalValkey] = field(default_factory=list)

    def wait_until_ready(self) -> None:
        """Wait until requests are answered and jobs done; ConfigurationError where they are not."""
        deadline = time.monotonic() + _READY_WITHIN_S
        while not _works(f"{self.url}/api/v1/health"):
            if self.supervisor.stopping:
                return
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"The platform does not become ready. Its last words are in {self.data}/logs."
                )
            self.supervisor.look()
            time.sleep(0.05)

    def mend_servers(self) -> None:
        """Start again a server that died; what needs it waits for it."""
        for server in self.servers:
            if server.process is not None and server.process.poll() is not None:
                log.warning("server_died", server=type(server).__name__)
                server.start()


def default_data(account: Account) -> Path:
    """Answer the folder that belongs to this checkout when none is named."""
    return account.home / f"platform-{sha256(str(ROOT).encode()).hexdigest()[:12]}"


def run_platform(*, port: int, data: Path | None) -> int:
    """Run everything until Ctrl-C or SIGTERM, restarting what dies."""
    account = Account.current()
    folder = (data or default_data(account)).resolve()
    with open_platform(folder, port=port, honour_environment=True) as platform:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, platform.supervisor.stop)
        platform.wait_until_ready()
        if not platform.supervisor.stopping:
            print(f"ready {platform.url}", flush=True)
            print(f"logs  {platform.data}/logs   (Ctrl-C stops)", flush=True)
            print(
                f'other commands: NEOZORK_ENV_FILE="{platform.data}/{SETTINGS_FILE}" '
                ".venv/bin/neozork tenant set …",
                flush=True,
            )
        platform.supervisor.run(platform.mend_servers)
    return 0


@contextmanager
def open_platform(
    data: Path, *, port: int, honour_environment: bool, fresh: bool = False
) -> Iterator[Platform]:
    """Start servers, migrate, start the Procfile's processes; stop all of it at the end.

    `honour_environment`: take DATABASE_URL, REDIS_URL and secrets from the environment and
    `.env`; otherwise nothing of this machine is looked at. `fresh`: whatever an earlier run
    left in the folder is deleted. Raises ConfigurationError where another platform runs on the
    same folder, and for a taken port, without making the folder.
    """
    account = Account.current()
    environment = _environment(port, honour_environment=honour_environment)
    if not data.exists():
        _refuse_taken_port(environment)
    data.mkdir(parents=True, exist_ok=True)
    account.refuse_unreachable(data)
    with _only_one(data), _short_folder(account, data) as sockets:
        if fresh:
            _empty(data)
        servers: list[LocalPostgres | LocalValkey] = []
        try:
            _refuse_taken_port(environment)
            _add_own(environment, data)
            _start_servers(account, data, sockets, environment, servers)
            for folder in ("logs", "cache"):
                (data / folder).mkdir(mode=0o700, exist_ok=True)
            _write_settings(data / SETTINGS_FILE, environment)
            programs = dict(_procfile())
            _release(programs.pop("release"), environment, data)
            supervisor = Supervisor(
                [
                    Program(name, command, environment, data / "logs" / f"{name}.log", ROOT)
                    for name, command in programs.items()
                ]
            )
            url = f"http://127.0.0.1:{environment['PORT']}"
            try:
                yield Platform(url, data, environment, supervisor, servers)
            finally:
                supervisor.stop_all()
        finally:
            (data / SETTINGS_FILE).unlink(missing_ok=True)
            for server in reversed(servers):
                server.stop()


def _start_servers(
    account: Account,
    data: Path,
    sockets: Path,
    environment: dict[str, str],
    servers: list[LocalPostgres | LocalValkey],
) -> None:
    if "DATABASE_URL" not in environment:
        postgres = LocalPostgres(account, data / "postgres", sockets)
        servers.append(postgres)
        postgres.start()
        environment["DATABASE_URL"] = postgres.url()
    if "REDIS_URL" not in environment:
        valkey = LocalValkey(account, data / "valkey", sockets)
        servers.append(valkey)
        valkey.start()
        environment["REDIS_URL"] = valkey.url()


def _environment(port: int, *, honour_environment: bool) -> dict[str, str]:
    """Answer the processes' environment, as far as it is given."""
    if honour_environment:
        environment = _dotenv(ROOT / ".env") | os.environ
    else:
        kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "NUMBA_CACHE_DIR")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment["NEOZORK_ENV_FILE"] = ""
    environment = {name: value for name, value in environment.items() if value}
    environment["PORT"] = str(port or _free_port())
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    environment["PYTHONPATH"] = str(ROOT)
    environment.setdefault("HOST", "127.0.0.1")
    return environment


def _add_own(environment: dict[str, str], data: Path) -> None:
    """Add what this folder keeps where nothing else is given: secrets, blobs, a cache."""
    for name in ("JWT_SECRET_KEY", "RESULT_SIGNING_KEY"):
        environment.setdefault(name, kept_secret(data / f"{name.lower()}.secret"))
    if "AWS_S3_BUCKET" not in environment:
        environment.setdefault("STORAGE_URL", f"file://{data}/blobs")
    environment.setdefault("WORKER_CACHE_DIR", str(data / "cache"))


def _refuse_taken_port(environment: dict[str, str]) -> None:
    host, port = environment["HOST"], int(environment["PORT"])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"Nothing can listen on {host}:{port}: {error.strerror}. Take another port: "
                "make up PORT=8001, or --port 8001."
            ) from None


def _write_settings(path: Path, environment: dict[str, str]) -> None:
    """Write what other commands need to reach this platform, for its owner alone to read."""
    lines = [
        f"{name.upper()}='{environment[name.upper()]}'\n"
        for name in Settings.model_fields
        if name.upper() in environment
    ]
    path.touch(mode=0o600)
    path.write_text("".join(lines), encoding="utf-8")


def _dotenv(path: Path) -> dict[str, str]:
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def _procfile() -> Iterator[tuple[str, list[str]]]:
    for line in (ROOT / "Procfile").read_text().splitlines():
        name, _, command = line.partition(":")
        yield name, shlex.split(command)


def _release(command: list[str], environment: dict[str, str], data: Path) -> None:
    log = data / "logs" / "release.log"
    with log.open("ab") as output:
        before = output.tell()
        done = subprocess.run(
            command, env=environment, cwd=ROOT, stdout=output, stderr=output, check=False
        )
    if done.returncode:
        said = log.read_bytes()[before:].decode(errors="replace").strip().splitlines()[-3:]
        raise ConfigurationError("neozork migrate refused:\n" + "\n".join(said))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _works(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_ANSWERS_WITHIN_S) as answer:
            told = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError):
        return False
    return all(told[service]["status"] == "ok" for service in _NEEDED)


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    path = data / _LOCK
    while True:
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigurationError(
                    f"Another platform runs on {data}. Stop it, or take another folder with --data."
                ) from None
            # Who locked a file that its last holder has just removed holds nothing.
            if path.exists() and path.stat().st_ino == os.fstat(lock.fileno()).st_ino:
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return


def _empty(data: Path) -> None:
    for left in data.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name != _LOCK:
            left.unlink()


@contextmanager
def _short_folder(account: Account, data: Path) -> Iterator[Path]:
    """Give a folder for sockets: their paths may have 107 characters, a data folder's more.

    It is named after the data, so that a platform that was killed finds its leavings again.
    """
    name = f"nz-{os.geteuid()}-{sha256(str(data).encode()).hexdigest()[:12]}"
    folder = Path(tempfile.gettempdir()) / name
    if folder.exists():
        if folder.is_symlink() or folder.stat().st_uid not in account.user_ids():
            raise ConfigurationError(f"{folder} belongs to somebody else. Remove it.")
        shutil.rmtree(folder)
    try:
        yield account.own(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
