"""`neozork up` as its users meet it: the real command, its real processes, real signals."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from core.local.account import Account

PATIENCE_S = 60.0
COMMAND_LINES = {
    "web": "gunicorn",
    "worker": "workers.main\0--queues\0interactive",
    "worker_money": "workers.main\0--queues\0money",
    "dispatcher": "workers.dispatcher",
    "scheduler": "scheduler.main",
    "postgres": "/postgres\0-D",
    "valkey": "valkey-server",
}

pytestmark = pytest.mark.xdist_group("platform")


@dataclass
class Up:
    """A running `neozork up`."""

    process: subprocess.Popen[str]
    url: str

    def descendants(self) -> dict[int, str]:
        """Answer the ids and command lines of everything that it started, directly or not."""
        parents = dict(running())
        found: dict[int, str] = {}
        for pid in parents:
            ancestor = pid
            while ancestor in parents:
                ancestor = parents[ancestor]
                if ancestor == self.process.pid:
                    found[pid] = command_line(pid)
        return found

    def pids_of(self, program: str) -> set[int]:
        parents = dict(running())
        line = COMMAND_LINES[program]
        return {
            pid
            for pid, text in self.descendants().items()
            if line in text and parents.get(pid) == self.process.pid
        }

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/v1/health/ready").is_success
        except httpx.HTTPError:
            return False

    def works(self) -> bool:
        told = httpx.get(f"{self.url}/api/v1/health", timeout=PATIENCE_S).json()
        return {told[name]["status"] for name in ("workers", "dispatcher")} == {"ok"}


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """A folder with a space in its name, which the servers' account can reach."""
    folder = Account.current().fresh_folder("up test ")
    yield folder
    shutil.rmtree(folder)


def test_it_says_when_it_is_ready_and_leaves_nothing_behind_after_ctrl_c(data: Path) -> None:
    with up(data) as running_platform:
        assert running_platform.ready()
        assert running_platform.works(), "who signs up at once is waited for by a worker"
        started = running_platform.descendants()
        for program in COMMAND_LINES:
            assert running_platform.pids_of(program), program
        sockets = next(path for path in started_sockets(started.values()))
        running_platform.process.send_signal(signal.SIGINT)
        assert running_platform.process.wait(PATIENCE_S) == 0
    assert [pid for pid in started if alive(pid)] == []
    assert not sockets.exists()
    assert not (data / "lock").exists()


def test_it_restarts_what_dies(data: Path) -> None:
    with up(data) as running_platform:
        for program in COMMAND_LINES:
            (before,) = running_platform.pids_of(program)
            os.kill(before, signal.SIGKILL)
            until(lambda dead=before, name=program: running_platform.pids_of(name) - {dead})
        until(running_platform.ready)


def test_a_web_server_whose_master_was_killed_gives_its_port_to_the_next(data: Path) -> None:
    with up(data) as running_platform:
        (master,) = running_platform.pids_of("web")
        workers = [pid for pid, parent in running() if parent == master]
        assert workers
        try:
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)
            os.kill(master, signal.SIGKILL)
            until(running_platform.ready)
        finally:
            for pid in filter(alive, workers):
                os.kill(pid, signal.SIGKILL)


def test_what_was_committed_survives_a_kill_of_everything(data: Path) -> None:
    person = {"email": "ada@example.com", "password": "correct horse battery"}
    with up(data) as running_platform:
        made = httpx.post(
            f"{running_platform.url}/api/v1/tenants",
            json={
                "name": "Survivor",
                "subdomain": "survivor",
                "admin_email": person["email"],
                "admin_username": "ada",
                "admin_password": person["password"],
            },
            timeout=30,
        )
        assert made.status_code == 201, made.text
        everything = [running_platform.process.pid, *running_platform.descendants()]
        for pid in everything:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        running_platform.process.wait()
    until(lambda: not any(alive(pid) for pid in everything[1:]))
    with up(data) as running_platform:
        url = f"{running_platform.url}/api/v1/tenants/survivor/auth/login"
        assert httpx.post(url, json=person, timeout=PATIENCE_S).status_code == 200


def test_a_second_one_on_the_same_folder_is_refused_with_what_to_do(data: Path) -> None:
    with up(data):
        second = subprocess.run(
            command(data), check=False, capture_output=True, text=True, timeout=PATIENCE_S
        )
    assert second.returncode == 1
    assert "--data" in second.stderr
    assert second.stdout == ""


def test_when_killed_it_takes_all_it_started_along(data: Path) -> None:
    with up(data) as running_platform:
        started = running_platform.descendants()
        running_platform.process.kill()
        running_platform.process.wait()
        until(lambda: not any(alive(pid) for pid in started))


@contextmanager
def up(data: Path) -> Iterator[Up]:
    process = subprocess.Popen(
        command(data),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=bare_environment(),
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("ready "), first + (process.stderr.read() if process.stderr else "")
        yield Up(process, first.removeprefix("ready ").strip())
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def bare_environment() -> dict[str, str]:
    ours = ("DATABASE_", "APP_DATABASE_", "REDIS_", "NEOZORK_", "STORAGE_", "JWT_", "RESULT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def command(data: Path) -> list[str]:
    return [sys.executable, "manage.py", "up", "--port", "0", "--data", str(data)]


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def running() -> Iterator[tuple[int, int]]:
    """Yield the ids of all processes that are no zombies, each with its parent's."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, parent = (folder / "stat").read_text().rpartition(") ")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != "Z":
                yield int(folder.name), int(parent)


def alive(pid: int) -> bool:
    return pid in dict(running())


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def started_sockets(command_lines: Iterable[str]) -> Iterator[Path]:
    for line in command_lines:
        for argument in line.split("\0"):
            if argument.startswith("unix_socket_directories="):
                yield Path(argument.partition("=")[2])


def test_a_taken_port_is_refused_by_its_number_before_anything_is_made(data: Path) -> None:
    fresh = data / "never made"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        asked = [sys.executable, "manage.py", "up", "--port", port, "--data", str(fresh)]
        refused = subprocess.run(
            asked, check=False, capture_output=True, text=True, timeout=PATIENCE_S
        )
    assert refused.returncode == 1
    assert f"127.0.0.1:{port}" in refused.stderr
    assert "--port 8001" in refused.stderr
    assert refused.stdout == ""
    assert not fresh.exists()


def test_other_commands_reach_it_by_the_settings_that_it_wrote(data: Path) -> None:
    with up(data):
        path = data / "settings.env"
        assert path.stat().st_mode & 0o077 == 0
        made = subprocess.run(
            [
                *(sys.executable, "manage.py", "tenant", "create", "--name", "By Hand"),
                *("--subdomain", "by-hand", "--admin-email", "ada@byhand.example.com"),
            ],
            env=bare_environment() | {"NEOZORK_ENV_FILE": str(path)},
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert made.returncode == 0, made.stderr
        assert '"status": "trialing"' in made.stdout
    assert not path.exists()
