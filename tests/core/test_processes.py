import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.processes import Program, Supervisor

PATIENCE_S = 20.0
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""
SUPERVISE = """
import sys
from core.processes import Program, Supervisor
program = Program("child", [sys.executable, "-c", "import time; time.sleep(60)"])
Supervisor([program]).run(lambda: print(program.process.pid, flush=True))
"""
BEATING = """
import sys, time
from core.pulse import show_pulse
time.sleep(float(sys.argv[1]))
show_pulse()
time.sleep(60)
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return True


def a_program(code: str, log: Path | None = None) -> Program:
    return Program("child", [sys.executable, "-c", code], log_file=log)


def test_what_dies_is_started_again_and_what_dies_at_once_waits_longer_each_time() -> None:
    program = a_program("raise SystemExit(3)")
    supervisor = Supervisor([program])
    waits: list[float] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(waits) < 3 and time.monotonic() < deadline:
        supervisor.look()
        if not waits or program.wait_s != waits[-1]:
            waits.append(program.wait_s)
        time.sleep(0.01)
    supervisor.stop_all()
    assert waits == sorted(waits)
    assert waits[-1] >= 4 * waits[0]


@pytest.mark.parametrize("seen_dead_before", [False, True])
def test_what_a_program_that_died_left_behind_is_gone_before_the_next_starts(
    tmp_path: Path, *, seen_dead_before: bool
) -> None:
    program = a_program(PARENT, tmp_path / "log")
    supervisor = Supervisor([program])
    supervisor.look()
    until((tmp_path / "log").read_text)
    first, left = program.process, int((tmp_path / "log").read_text())
    assert first is not None
    try:
        first.kill()
        until(lambda: gone(first.pid))
        if seen_dead_before:
            assert supervisor.alive("child") == 0
        supervisor.look()
        assert program.process is None, "it waits before it is started again"
        until(lambda: gone(left))
    finally:
        supervisor.stop_all()
        if not gone(left):
            os.kill(left, signal.SIGKILL)


def test_stopping_kills_what_does_not_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.processes.STOP_WITHIN_S", 0.3)
    program = a_program(STUBBORN, tmp_path / "log")
    supervisor = Supervisor([program])
    supervisor.look()
    until(lambda: (tmp_path / "log").read_text() == "up\n")
    supervisor.stop_all()
    assert program.process is not None
    assert program.process.returncode == -signal.SIGKILL
    assert supervisor.alive("child") == 0


def test_no_child_outlives_a_supervisor_that_was_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISE], stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        assert not gone(child)
        os.kill(supervisor.pid, signal.SIGKILL)
        supervisor.communicate()
    until(lambda: gone(child))


@contextmanager
def watched(program: Program) -> Iterator[Supervisor]:
    supervisor = Supervisor([program])
    try:
        supervisor.look()
        yield supervisor
    finally:
        supervisor.stop_all()


def until_ready(supervisor: Supervisor) -> "subprocess.Popen[bytes]":
    until(lambda: supervisor.look() or supervisor.alive("child") == 1)
    process = supervisor.programs[0].process
    assert process is not None
    return process


def a_beating_program(*, ready_after_s: float = 0.0) -> Program:
    return Program("child", [sys.executable, "-c", BEATING, str(ready_after_s)], has_pulse=True)


@pytest.fixture
def hung_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.processes.HUNG_AFTER_S", 1.5)


@pytest.mark.usefixtures("hung_soon")
def test_what_hangs_is_killed_and_started_again() -> None:
    program = a_beating_program()
    with watched(program) as supervisor:
        first = until_ready(supervisor)
        os.kill(first.pid, signal.SIGSTOP)
        until(lambda: supervisor.look() or program.process not in {first, None})
        assert first.returncode == -signal.SIGKILL
        assert supervisor.alive("child") == 0, "it has not shown yet that it is ready"
        assert until_ready(supervisor) is not first


@pytest.mark.usefixtures("hung_soon")
def test_what_takes_long_to_be_ready_does_not_hang() -> None:
    program = a_beating_program(ready_after_s=3.0)
    with watched(program) as supervisor:
        first = program.process
        assert until_ready(supervisor) is first


@pytest.mark.usefixtures("hung_soon")
def test_a_supervisor_that_stood_still_blames_nobody_for_it() -> None:
    program = a_beating_program()
    with watched(program) as supervisor:
        os.kill(until_ready(supervisor).pid, signal.SIGSTOP)
        supervisor.look()
        stopped_at = time.monotonic()
        until(lambda: time.monotonic() - stopped_at > 2.0)
        supervisor.look()
        assert program.pulse is not None
        assert program.pulse.silent_s is not None
        assert program.pulse.silent_s < 1.5
