"""A web process of its own, over real connections."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

from core.local.platform import ROOT
from tests.programs import until

HOST = "127.0.0.1"


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def web(port: int, *options: str, log: Path | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Serve on a port while the block runs; `log`: the file that it writes to, None for ours."""
    command = ["gunicorn", "--config", "web/gunicorn.py", *options, "web.wsgi:app"]
    with log.open("ab") if log else nullcontext() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=os.environ | {"HOST": HOST, "PORT": str(port), "WEB_CONCURRENCY": "1"},
            cwd=ROOT,
            process_group=0,
            stderr=output,
        )
    try:
        until(lambda: answers(port), "the web process to answer")
        yield process
    finally:
        kill(process)
        process.wait()


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill it with its worker, which would serve on for a second."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def answers(port: int) -> bool:
    with suppress(OSError), closing(http.client.HTTPConnection(HOST, port, timeout=5)) as asking:
        asking.request("GET", "/api/v1/health/live")
        return asking.getresponse().status == 204
    return False
