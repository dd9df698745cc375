"""Keeping processes alive: start, restart what dies or hangs, stop all of it cleanly."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.logging import get_logger
from core.pulse import BEAT_EVERY_S, Pulse

STOP_WITHIN_S = 12.0
# Longer than a job's lease: what a unit that was silent for so long has done no longer counts.
HUNG_AFTER_S = 12.0
_LOOK_EVERY_S = 0.1
_STEADY_AFTER_S = 5.0
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_PR_SET_PDEATHSIG = 1
log = get_logger(__name__)


@dataclass(slots=True)
class Program:
    """One process to keep alive: its name, its command line, its environment.

    `log_file`: where its output goes, None for ours. `folder`: where it starts, None for here.
    `has_pulse`: it calls `core.pulse.show_pulse` once it is ready, and is killed where it hangs.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    log_file: Path | None = None
    folder: Path | None = None
    has_pulse: bool = False
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    start_after: float = 0.0
    wait_s: float = _FIRST_WAIT_S
    pulse: Pulse | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it runs, and has shown so where it does."""
        running = self.process is not None and _status(self.process) is None
        return running and (self.pulse is None or self.pulse.silent_s is not None)


class Supervisor:
    """Runs programs until it is told to stop by SIGTERM or SIGINT.

    Use it from the main thread: children are tied to the thread that forked them, so that none
    outlives a supervisor that was killed.
    """

    def __init__(self, programs: Sequence[Program]) -> None:
        self.programs = list(programs)
        self.stopping = False
        self._looked_at = time.monotonic()

    def alive(self, name: str) -> int:
        """Answer how many programs of that name are ready now."""
        return sum(program.is_ready for program in self.programs if program.name == name)

    def stop(self, *_signal: object) -> None:
        """Ask the loop to end; safe in a signal handler."""
        self.stopping = True

    def run(self, on_look: Callable[[], None] = lambda: None) -> None:
        """Keep all programs alive, calling `on_look` ten times a second, then stop them."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        try:
            while not self.stopping:
                self.look()
                on_look()
                time.sleep(_LOOK_EVERY_S)
        finally:
            self.stop_all()

    def look(self) -> None:
        """Start what does not run, waiting longer each time for what dies at once.

        What hangs is killed, to be started anew by a later look.
        """
        now = time.monotonic()
        # Where this process stood still itself, it heard nothing of anybody.
        listened_s, self._looked_at = min(now - self._looked_at, BEAT_EVERY_S), now
        for program in self.programs:
            if program.process is not None:
                status = _status(program.process)
                if status is None:
                    if program.pulse and program.pulse.listen(listened_s) > HUNG_AFTER_S:
                        log.warning("process_hung", name=program.name, pid=program.process.pid)
                        os.killpg(program.process.pid, signal.SIGKILL)
                    continue
                steady = now - program.started_at > _STEADY_AFTER_S
                program.wait_s = (
                    _FIRST_WAIT_S if steady else min(program.wait_s * 2, _LONGEST_WAIT_S)
                )
                program.start_after = now + program.wait_s
                program.process = None
                if program.pulse:
                    program.pulse.close()
                    program.pulse = None
                log.warning("process_died", name=program.name, status=status)
            if now >= program.start_after:
                self._start(program)

    def stop_all(self) -> None:
        """Ask every program to end, wait, and kill what does not."""
        running = [p.process for p in self.programs if p.process and _status(p.process) is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_WITHIN_S
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _start(self, program: Program) -> None:
        output = program.log_file.open("ab") if program.log_file else None
        program.pulse = pulse = Pulse() if program.has_pulse else None
        try:
            program.process = subprocess.Popen(
                program.command,
                env={**program.environment, **(pulse.environment if pulse else {})},
                cwd=program.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[pulse.shown] if pulse else [],
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        finally:
            if pulse is not None:
                os.close(pulse.shown)
            if output is not None:
                output.close()
        program.started_at = time.monotonic()


def _status(process: "subprocess.Popen[bytes]") -> int | None:
    """Answer how a program ended, None while it runs; what it left in its group is killed then.

    Workers of a web server whose master was killed would keep its port from the next one.
    """
    if process.returncode is None:
        ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
        if os.waitid(os.P_PID, process.pid, ended) is None:
            return None
        # Not waited for yet, it keeps its id: the group can be nobody else's.
        os.killpg(process.pid, signal.SIGKILL)
    return process.poll()


def die_with_parent(by: signal.Signals) -> Callable[[], None]:
    """Answer what a child calls before exec, so that it does not outlive a killed parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def arm() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(by))
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return arm
