"""A firm's way through a running platform, over HTTP alone."""

import csv
import io
import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pytest

from core.local import samples
from core.local.platform import ROOT, Platform

pytestmark = pytest.mark.xdist_group("platform")
EXAMPLES = ROOT / "docs" / "examples"
ENDED = {"succeeded", "failed", "cancelled", "superseded"}
RUNS = {
    "AAPL": (
        samples.aapl_daily_csv,
        {"symbol": "AAPL", "timeframe": "1d", "lot": "1"},
        "aapl-sma-cross.yaml",
    ),
    "EURUSD": (
        samples.eurusd_hourly_csv,
        {"symbol": "EURUSD", "timeframe": "1h", "timezone": "UTC"},
        "eurusd-ema-cross.yaml",
    ),
}
PATIENCE_S = 60.0


@dataclass
class Firm:
    """A firm that signed up, its admin signed in."""

    client: httpx.Client
    slug: str
    mail: str
    password: str
    seen: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def firm(platform: Platform) -> Iterator[Firm]:
    slug, password = f"acme-{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    mail = f"ada@{slug}.example.com"
    with httpx.Client(base_url=f"{platform.url}/api/v1", timeout=PATIENCE_S) as client:
        answer = client.post(
            "/tenants",
            json={
                "name": "Acme Trading",
                "subdomain": slug,
                "admin_email": mail,
                "admin_username": "ada",
                "admin_password": password,
            },
        )
        assert answer.status_code == 201, answer.text
        assert answer.json()["tenant"]["status"] == "trialing"
        login = f"/tenants/{slug}/auth/login"
        tokens = ok(client.post(login, json={"email": mail, "password": password}))
        assert tokens["token_type"] == "bearer"
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        yield Firm(client, slug, mail, password)


def ok(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def eventually(condition: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.05)
    return found


class Stream:
    """An event stream, followed event by event."""

    def __init__(self, client: httpx.Client, last_id: str | None = None) -> None:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        self.open = client.stream("GET", "/events", headers=headers)
        self.answer = self.open.__enter__()
        assert self.answer.status_code == 200
        self.last_id = ""
        self.events = self._parse()

    def _parse(self) -> Iterator[tuple[str, dict[str, Any]]]:
        name = ""
        for line in self.answer.iter_lines():
            key, _, value = line.partition(": ")
            if key == "id":
                self.last_id = value
            elif key == "event":
                name = value
            elif key == "data":
                yield name, json.loads(value)

    def until_ended(self, job_id: str) -> list[dict[str, Any]]:
        """Answer what was told of a job until its end."""
        told = []
        for name, event in self.events:
            if name == "job" and event["id"] == job_id:
                told.append(event)
                if event["status"] in ENDED:
                    return told
        raise AssertionError(f"the stream ended before job {job_id} did: {told}")

    def close(self) -> None:
        self.open.__exit__(None, None, None)


def upload(firm: Firm, name: str) -> dict[str, Any]:
    content, form, _ = RUNS[name]
    files = {"file": (f"{name}.csv", content(), "text/csv")}
    answer = firm.client.post("/trading/data/", data=form, files=files)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("name", RUNS)
def test_from_sign_up_to_a_result_and_out_again(firm: Firm, name: str) -> None:
    client = firm.client
    stream = Stream(client)
    asked = upload(firm, name)
    told = stream.until_ended(asked["job_id"])
    assert told[-1]["status"] == "succeeded", told
    bars = ok(client.get(f"/trading/data/{asked['id']}"))
    assert bars["rows"] > 3_000
    assert bars["certificate"]["first"] == bars["first"]

    document = (EXAMPLES / RUNS[name][2]).read_text()
    strategy = ok(client.post("/trading/strategies/", json={"name": name, "document": document}))
    assert strategy["version"] == 1

    body = {"strategy_id": strategy["id"], "data_id": asked["id"], "costs": {"commission_bps": 1}}
    queued = client.post("/trading/backtesting/", json=body)
    assert queued.status_code == 202
    told = stream.until_ended(queued.json()["job_id"])
    assert [event["status"] for event in told][-2:] == ["running", "succeeded"]
    progress = [event["progress"] for event in told if "progress" in event]
    assert progress == sorted(progress)
    stream.close()

    read_all(client, queued)
    log_out(firm)


def read_all(client: httpx.Client, queued: httpx.Response) -> None:
    assert ok(client.get(urlsplit(queued.headers["Location"]).path.removeprefix("/api/v1")))
    path = f"/trading/backtesting/{queued.json()['id']}"
    backtest = ok(client.get(path))
    assert backtest["status"] == "succeeded"
    assert backtest["result"]["summary"]["verdict"] == "untested"
    drawn = ok(client.get(f"{path}/series", params={"names": "equity,drawdown", "points": 100}))
    assert drawn.keys() == {"time", "equity", "drawdown"}
    assert 50 < len(drawn["equity"]) <= 200

    arrow = client.get(f"{path}/series", headers={"Accept": "application/vnd.apache.arrow.file"})
    table = pa.ipc.open_file(pa.BufferReader(arrow.content)).read_all()
    assert table.num_rows > len(drawn["equity"])

    trades, cursor = [], "0"
    while cursor is not None:
        page = ok(client.get(f"{path}/trades", params={"cursor": cursor, "limit": 7}))
        trades += page["items"]
        cursor = page["next_cursor"]
    assert len(trades) == page["total_count"] > 7
    text = client.get(f"{path}/trades", headers={"Accept": "text/csv"}).text
    assert [row["exit_time"] for row in csv.DictReader(io.StringIO(text))] == [
        trade["exit_time"] for trade in trades
    ]


def log_out(firm: Firm) -> None:
    assert firm.client.post("/auth/logout").status_code == 204
    again = firm.client.get("/jobs/")
    assert (again.status_code, again.json()["code"]) == (401, "invalid_token")


def test_a_stream_resumes_where_it_was_cut_and_resets_where_it_cannot(firm: Firm) -> None:
    stream = Stream(firm.client)
    first = upload(firm, "AAPL")
    stream.until_ended(first["job_id"])
    last_id = stream.last_id
    stream.close()
    second = upload(firm, "AAPL")
    eventually(lambda: ok(firm.client.get(f"/jobs/{second['job_id']}"))["status"] == "succeeded")
    resumed = Stream(firm.client, last_id)
    told = resumed.until_ended(second["job_id"])
    assert {event["id"] for event in told} == {second["job_id"]}
    assert [event["status"] for event in told].count("succeeded") == 1
    resumed.close()
    lost = Stream(firm.client, "0123456789abcdef.1-1")
    assert next(lost.events)[0] == "reset"
    lost.close()


def test_sigterm_ends_streams_at_once_and_the_client_finds_its_way_back(
    platform: Platform, firm: Firm
) -> None:
    stream = Stream(firm.client)
    job = upload(firm, "AAPL")
    stream.until_ended(job["job_id"])
    web = next(program for program in platform.supervisor.programs if program.name == "web")
    process = web.process
    assert process is not None
    process.terminate()
    # A stream that is not closed is cut when gunicorn's patience ends, and httpx says so.
    assert list(stream.events) == []
    assert process.wait(PATIENCE_S) == 0
    platform.wait_until_ready()
    again = Stream(firm.client, stream.last_id)
    job = upload(firm, "AAPL")
    assert again.until_ended(job["job_id"])[-1]["status"] == "succeeded"
    again.close()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_upload_that_is_cut_in_the_middle_leaves_nothing(
    platform: Platform, firm: Firm, framing: str
) -> None:
    log = platform.data / "logs" / "web.log"
    before = log.stat().st_size
    head, _, body = send_half(platform, firm, framing).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"\r\ncontent-type: application/problem+json\r\n" in head.lower() + b"\r\n"
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (400, "incomplete_upload")
    assert (" of 300000 bytes came" in problem["detail"]) == (framing == "length")

    def answered() -> bool:
        lines = log.read_text()[before:].splitlines()
        return any('"POST"' in line and "/trading/data/" in line for line in lines)

    eventually(answered)
    assert '"request_crashed"' not in log.read_text()[before:]
    assert ok(firm.client.get("/trading/data/"))["total_count"] == 0
    assert ok(firm.client.get("/jobs/"))["total_count"] == 0
    tenant = ok(firm.client.get("/users/"))["items"][0]["tenant_id"]
    assert not list((platform.data / "blobs" / tenant).rglob("*"))


def send_half(platform: Platform, firm: Firm, framing: str) -> bytes:
    """Send the first half of an upload, no more, and answer all that comes back."""
    part = 'Content-Disposition: form-data; name="file"; filename="a.csv"'
    fields = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in RUNS["AAPL"][1].items()
    )
    body = f"{fields}--b\r\n{part}\r\n\r\n".encode() + samples.aapl_daily_csv()[:100_000]
    length = "Content-Length: 300000" if framing == "length" else "Transfer-Encoding: chunked"
    head = (
        "POST /api/v1/trading/data/ HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {firm.client.headers['Authorization']}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\n{length}\r\nConnection: close\r\n\r\n"
    ).encode()
    if framing == "chunked":
        body = f"{len(body) + 5:x}\r\n".encode() + body
    address = urlsplit(platform.url)
    with socket.create_connection((address.hostname, address.port), PATIENCE_S) as connection:
        connection.sendall(head + body)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))
