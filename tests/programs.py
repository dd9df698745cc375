"""Programs of the platform as real processes, and waiting for what they do."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.logging import get_logger

PATIENCE_S = 60.0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; fail where it does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
        time.sleep(0.02)


@contextmanager
def logged_by(module: ModuleType) -> Iterator[list[Any]]:
    """Collect what a module logs; its own logger may keep how logging was configured before."""
    with pytest.MonkeyPatch.context() as patch, capture_logs() as lines:
        patch.setattr(module, "log", get_logger(module.__name__))
        yield lines


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
