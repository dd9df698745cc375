"""A process whose wall clock is wrong, or is set while it runs; the monotonic one goes on.

`CLOCK_AHEAD_S` shifts it from the start; each SIGUSR1 sets it by `CLOCK_SET_BY_S`.
"""

import os
import signal
from datetime import UTC, datetime, timedelta

import time_machine


def install() -> None:
    """Shift the clock as the environment says, and listen for the signal that sets it."""
    _set_by(float(os.environ.get("CLOCK_AHEAD_S", "0")))
    signal.signal(signal.SIGUSR1, lambda *_: _set_by(float(os.environ["CLOCK_SET_BY_S"])))


def _set_by(seconds: float) -> None:
    time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=True).start()
