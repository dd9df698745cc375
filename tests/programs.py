"""Programs of the platform as real processes, and waiting for what they do."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_S = 60.0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; fail where it does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
        time.sleep(0.02)


@contextmanager
def program(*command: str, says: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program; the block begins when it has logged `says`, and leaves no process behind."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        stderr=subprocess.PIPE,
        env=os.environ | {"LOG_LEVEL": "info"},
    )
    try:
        while says.encode() not in process.stderr.readline():
            assert process.poll() is None, f"{command[0]} ended before it said {says}"
        yield process
    finally:
        process.kill()
        process.communicate()
