"""Real processes on the test's own database: started, killed, stopped, woken, looked at."""

import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from core.jobs.submit import submit_job
from core.jobs.units import register_units
from core.tenancy.session import open_session
from tests.builders import a_tenant
from tests.faults.startup.fault_kinds import EFFECT, QUEUE
from tests.programs import until

ROOT = Path(__file__).resolve().parents[2]
STARTUP = Path(__file__).resolve().parent / "startup"


def is_alive(pid: int) -> bool:
    return state_of(pid) not in {"", "Z"}


def state_of(pid: int) -> str:
    """Answer a process's state: R, S, T when stopped; empty where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return stat.rpartition(")")[2].split()[0]


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def children_of(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found


class Stage:
    """One test's tenant, processes and a look at what really stands in the tables."""

    def __init__(self, look: "psycopg.Connection[tuple[object, ...]]", folder: Path) -> None:
        self.look = look
        self.tenant = a_tenant(tier="enterprise")
        self.spent = folder / "spent"
        self._processes: list[subprocess.Popen[bytes]] = []
        register_units(uuid4(), {QUEUE: 1})

    def start(
        self, *command: str, fault: str = "", output: int | None = None, **more: str
    ) -> "subprocess.Popen[bytes]":
        """Start a real program; `fault` arms a fail point in it and its children."""
        armed = {"FAULT": fault, "FAULT_SPENT": str(self.spent), **more}
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=os.environ | armed | {"PYTHONPATH": str(STARTUP)},
            stdout=output,
            cwd=ROOT,
        )
        self._processes.append(process)
        return process

    def unit(self, **faults: str) -> "subprocess.Popen[bytes]":
        return self.start("workers.unit", QUEUE, **faults)

    def dispatcher(self, **faults: str) -> "subprocess.Popen[bytes]":
        return self.start("workers.dispatcher", **faults)

    def end(self) -> None:
        """End what still runs, however it stands."""
        for process in self._processes:
            for child in children_of(process.pid) if process.poll() is None else []:
                os.kill(child, signal.SIGKILL)
            process.kill()
            process.wait()

    def submit(self, count: int = 1, **asked: object) -> list[UUID]:
        with open_session(self.tenant) as session:
            asked = {"kind": EFFECT, "args": {}} | asked
            return [submit_job(session, **asked) for _ in range(count)]

    def column(self, query: str, *values: object) -> list[object]:
        return [row[0] for row in self.look.execute(query, values).fetchall()]

    def job(self, job: UUID, column: str) -> object:
        return self.column(f"SELECT {column} FROM neozork.jobs WHERE id = %s", job)[0]

    def statuses(self) -> list[object]:
        return self.column("SELECT DISTINCT status FROM neozork.jobs")

    def effects(self, job: UUID) -> int:
        return len(self.column("SELECT 1 FROM faults.effects WHERE job = %s", job))

    def starter_of(self, job: UUID) -> int | None:
        """Answer the process that began a deaf job."""
        pids = self.column("SELECT pid FROM faults.starts WHERE job = %s ORDER BY attempt", job)
        return int(str(pids[-1])) if pids else None

    def until_all_succeeded(self) -> None:
        until(lambda: self.statuses() == ["succeeded"], "all jobs to succeed")

    def assert_each_effect_once(self, jobs: Collection[UUID]) -> None:
        self.until_all_succeeded()
        assert [self.effects(job) for job in jobs] == [1] * len(jobs)

    def until_spent(self) -> None:
        until(self.spent.exists, "the fail point to be reached")


@contextmanager
def stopped(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Keep a process still for the length of the block."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def overtaken_and_woken(stage: Stage, point: str, **more: str) -> UUID:
    """Stop a unit at a point, let another do its job, wake it, and wait until it is past it."""
    dispatcher = stage.dispatcher()
    paused = stage.unit(fault=f"{point}:stop", **more)
    (job,) = stage.submit()
    stage.until_spent()
    until(lambda: state_of(paused.pid) == "T", "the unit to stand still")
    other = stage.unit()
    until(lambda: stage.effects(job) == 1, "the other unit to do the job")
    # The woken one takes the next job when it has done with the first, or dies of its loss.
    with stopped(other), stopped(dispatcher):
        paused.send_signal(signal.SIGCONT)
    with stopped(other):
        next_job = stage.submit()
        until(lambda: stage.effects(*next_job) or paused.poll() is not None, "the woken unit")
    stage.until_all_succeeded()
    return job
