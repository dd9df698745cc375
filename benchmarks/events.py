"""Event streams of one web process, idle and told: `python benchmarks/events.py`.

Postgres (fsync on), Valkey and gunicorn of its own, one gevent worker; the streams are held by
one process, changes and requests come from another. A second web process without a stream is
asked for its health in turn with the first: what it needs longer than usual, neighbours cause.
Prints tables for benchmarks/RESULTS.md.
"""

import argparse
import http.client
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self
from uuid import UUID, uuid4

from jobs import FOLDER, a_tenant, servers

from core.identity.authentication import login
from core.identity.models import TenantUser, User
from core.identity.passwords import hash_password
from core.jobs.kinds import RUN_BACKTEST
from core.jobs.submit import submit_job
from core.tenancy.resolution import Signals, resolve
from core.tenancy.session import open_platform_session, open_session

HOST = "127.0.0.1"
STREAMS_A_USER = 10
PASSWORD = secrets.token_urlsafe()
PATIENCE_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def web(port: int) -> Iterator["subprocess.Popen[bytes]"]:
    environment = os.environ | {"HOST": HOST, "PORT": str(port), "WEB_CONCURRENCY": "1"}
    command = [sys.executable, "-m", "gunicorn", "--config", "web/gunicorn.py", "web.wsgi:app"]
    process = subprocess.Popen(command, env=environment, cwd=FOLDER.parent)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not is_up(port):
            assert time.monotonic() < deadline, "the web process does not answer"
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait()


def is_up(port: int) -> bool:
    with suppress(OSError):
        return ask_health(http.client.HTTPConnection(HOST, port, timeout=5)) > 0
    return False


def ask_health(connection: http.client.HTTPConnection) -> float:
    """Answer how many milliseconds the answer took."""
    began = time.perf_counter()
    connection.request("GET", "/api/v1/health")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    return (time.perf_counter() - began) * 1_000


class Health:
    """Asks two web processes for their health in turn, until it is over."""

    def __init__(self, *ports: int) -> None:
        self.took: list[list[float]] = [[] for _ in ports]
        self._asked = [http.client.HTTPConnection(HOST, port, timeout=PATIENCE_S) for port in ports]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._over.wait(0.02):
            for took, connection in zip(self.took, self._asked, strict=True):
                took.append(ask_health(connection))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for connection in self._asked:
            connection.close()


def tokens_of(tenant: UUID, users: int) -> list[str]:
    """Sign new members in, and answer an access token for each stream."""
    ref = resolve(Signals(path=str(tenant)))
    hashed = hash_password(PASSWORD)
    tokens = []
    for _ in range(users):
        mail = f"{uuid4().hex}@bench.example.com"
        user = uuid4()
        with open_platform_session() as session:
            session.add(User(id=user, email=mail, username=mail[:12], password_hash=hashed))
            session.flush()
            session.add(TenantUser(tenant_id=tenant, user_id=user, role="user"))
        signed_in = login(ref, email=mail, password=PASSWORD, address=None)
        tokens += [signed_in.access_token] * STREAMS_A_USER
    return tokens


def worker_of(master: "subprocess.Popen[bytes]") -> int:
    children = Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text()
    return int(children.split()[0])


def resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1])
    raise LookupError("no Rss")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Streams:
    """A process that holds streams open."""

    def __init__(self, port: int, tokens: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(FOLDER / "events_client.py"), HOST, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(tokens) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "open\n"

    def heard(self) -> dict[str, object]:
        """Wait until all have ended, and answer what came to them."""
        assert self.process.stdout is not None
        answer: dict[str, object] = json.loads(self.process.stdout.readline())
        self.process.wait()
        return answer


def change(tenants: list[UUID], for_s: float, every_s: float) -> dict[str, float]:
    """Submit jobs of one tenant after the other; answer when each was about to be committed."""
    committed = {}
    ends = time.monotonic() + for_s
    while time.monotonic() < ends:
        tenant = tenants[len(committed) % len(tenants)]
        with open_session(tenant) as session:
            job = submit_job(session, kind=RUN_BACKTEST, args={})
            at = time.monotonic()
        committed[str(job)] = at
        time.sleep(every_s)
    return committed


def measured(tenants: int, users: int, for_s: float, every_s: float) -> dict[str, float]:
    port, control = free_port(), free_port()
    firms = [a_tenant(f"firm-{uuid4().hex[:12]}") for _ in range(tenants)]
    tokens = [token for firm in firms for token in tokens_of(firm, users)]
    with web(port) as master, web(control):
        worker = worker_of(master)
        with Health(port, control):  # each has answered, so that what that takes is no stream's
            time.sleep(2)
        before = resident_kb(worker)
        streams = Streams(port, tokens)
        time.sleep(2)
        kept = (resident_kb(worker) - before) / len(tokens)
        spent = cpu_s(worker)
        time.sleep(for_s)
        idle = (cpu_s(worker) - spent) / for_s
        with Health(port, control) as asked:
            spent = cpu_s(worker)
            committed = change(firms, for_s, every_s)
            spent = (cpu_s(worker) - spent) / for_s
        time.sleep(1)
        began = time.monotonic()
        master.terminate()
        master.wait(PATIENCE_S)
        stopped = time.monotonic() - began
        heard = streams.heard()
    late = latencies(committed, heard["came"], len(tokens) // tenants)
    ours, controls = asked.took
    return {
        "streams": len(tokens),
        "changes": len(committed),
        "KB a stream": kept,
        "delivery p50, ms": percentile(late, 50),
        "delivery p99, ms": percentile(late, 99),
        "/health p50 meanwhile, ms": percentile(ours, 50),
        "/health p99 meanwhile, ms": percentile(ours, 99),
        "the same of a process without streams, p50": percentile(controls, 50),
        "the same of a process without streams, p99": percentile(controls, 99),
        "cores, streams idle": idle,
        "cores, changes and /health": spent,
        "SIGTERM to end, s": stopped,
        "streams that were told to return": float(str(heard["retry"])),
    }


def latencies(committed: dict[str, float], came: object, listeners: int) -> list[float]:
    assert isinstance(came, dict)
    late = []
    for job, at in committed.items():
        times = came.get(job, [])
        assert len(times) == listeners, f"{len(times)} of {listeners} heard of {job}"
        late += [(time_ - at) * 1_000 for time_ in times]
    return late


def percentile(values: list[float], which: int) -> float:
    return statistics.quantiles(values, n=100)[which - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    users = options.streams // STREAMS_A_USER
    plays = {
        "one firm": (1, users, 0.2),
        "a firm for every ten": (users, 1, 0.02),
    }
    # Who asks for the health must not wait for who submits, in the next thread.
    sys.setswitchinterval(0.0001)
    with servers():
        for name, (tenants, each, every_s) in plays.items():
            if options.only in name:
                rounds = [
                    measured(tenants, each, options.seconds, every_s) for _ in range(options.rounds)
                ]
                print_table(name, rounds)


def print_table(name: str, rounds: list[dict[str, float]]) -> None:
    print(f"| {name} | lowest | median | worst |")
    print("|---|---:|---:|---:|")
    for what in rounds[0]:
        values = [each[what] for each in rounds]
        found = (min(values), statistics.median(values), max(values))
        print(f"| {what} | {' | '.join(map(shown, found))} |")
    print(flush=True)


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 1 else f"{value:,.1f}"


if __name__ == "__main__":
    main()
