import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

REPORT = """
import sentry_sdk
from core.settings import get_settings
from core.telemetry import start_telemetry

assert start_telemetry(get_settings(), "worker")
password = "hunter2-of-a-local-variable"
try:
    raise ValueError("the sum is wrong")
except ValueError as error:
    sentry_sdk.set_context("call", {"api_key": "hunter2-of-a-context", "row": 17})
    sentry_sdk.set_extra("refresh_token", "hunter2-of-an-extra")
    sentry_sdk.capture_exception(error)
sentry_sdk.flush(5)
"""


@pytest.fixture
def received() -> Iterator[tuple[str, list[str]]]:
    """A server that takes what is reported: its DSN, and the envelopes that came."""
    envelopes: list[str] = []

    class Sentry(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding") == "gzip"
            envelopes.append((gzip.decompress(body) if packed else body).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Sentry) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://key@127.0.0.1:{server.server_port}/1", envelopes
        server.shutdown()
        serving.join()


def test_errors_reach_sentry_without_any_secret(received: tuple[str, list[str]]) -> None:
    dsn, envelopes = received
    environment = os.environ | {"SENTRY_DSN": dsn, "NEOZORK_ENV_FILE": ""}
    subprocess.run([sys.executable, "-c", REPORT], check=True, env=environment)
    report = "".join(envelopes)
    assert "the sum is wrong" in report
    assert '"process":"worker"' in report.replace(" ", "")
    assert '"row":17' in report.replace(" ", "")
    assert "hunter2" not in report
