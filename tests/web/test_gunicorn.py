"""What gunicorn itself says, of a web process over real connections."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import psutil

from core.local.platform import ROOT
from tests.programs import until
from tests.serving import HOST, a_free_port, web


def told(log: Path, what: str) -> list[dict[str, Any]]:
    """Answer the lines that tell of something; every line of the log is one of ours."""
    lines = [json.loads(line) for line in log.read_text().splitlines(keepends=True)]
    assert [line["process"] for line in lines] == ["web"] * len(lines)
    return [line for line in lines if what in line["event"]]


def test_it_speaks_through_our_log(database: str, tmp_path: Path) -> None:
    assert database
    port, log = a_free_port(), tmp_path / "log"
    with web(port, log=log) as process:
        with socket.create_connection((HOST, port), 60) as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            with closing(HTTPResponse(connection)) as answer:
                answer.begin()
                request_id = answer.headers["X-Request-ID"]
        until(lambda: told(log, "Invalid request"), "the worker to tell of what it refused")
        (refused,) = told(log, "Invalid request")
        assert (refused["level"], refused["request_id"]) == ("warning", request_id)
        (worker,) = psutil.Process(process.pid).children()
        os.kill(worker.pid, signal.SIGKILL)
        until(lambda: told(log, "was sent SIGKILL"), "the master to tell of its worker")


def test_what_is_set_wrong_is_told_in_a_line() -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--config", "web/gunicorn.py", "web.wsgi:app"],
        env=os.environ | {"HOST": HOST, "PORT": "0", "LOG_FORMAT": "nonsense"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith("neozork: The settings cannot be read. LOG_FORMAT: ")
