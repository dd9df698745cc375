"""The pulse of a process: how its supervisor hears that it lives, and does not hang.

A beat is a byte in a pipe, written by a thread: none comes from a process that was stopped, nor
from one whose interpreter is held by native code. No clock and no service is asked, so that
neither a moved clock nor a database that is away makes anybody look dead.
"""

import os
import threading
import time
from contextlib import suppress

BEAT_EVERY_S = 0.5
_VARIABLE = "NEOZORK_PULSE"
_MANY_BEATS = 4_096


class Pulse:
    """A supervisor's end of the pipe, and until the program is started the program's.

    `silent_s`: how long no beat was heard by one who listened; None before the first.
    """

    def __init__(self) -> None:
        self._heard, self.shown = os.pipe()
        os.set_blocking(self._heard, False)
        self.silent_s: float | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What tells the program where to beat; `shown` must be passed to it too."""
        return {_VARIABLE: str(self.shown)}

    def listen(self, listened_s: float) -> float:
        """Answer for how many seconds the program was silent, after having listened for so long."""
        with suppress(BlockingIOError):
            if os.read(self._heard, _MANY_BEATS):
                self.silent_s = 0.0
                return 0.0
        if self.silent_s is None:
            return 0.0
        self.silent_s += listened_s
        return self.silent_s

    def close(self) -> None:
        """Let go of our end; the program's was closed once it had it."""
        os.close(self._heard)


def show_pulse() -> None:
    """Beat from now on, where a supervisor listens."""
    if _VARIABLE in os.environ:
        end = int(os.environ.pop(_VARIABLE))
        threading.Thread(target=_beat, args=(end,), name="pulse", daemon=True).start()


def _beat(end: int) -> None:
    # Who is told that the supervisor died is the whole process, by a signal.
    with suppress(BrokenPipeError):
        while True:
            os.write(end, b".")
            time.sleep(BEAT_EVERY_S)
