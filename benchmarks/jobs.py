"""The job path, idle and full, against a bare loop and a peer: `python benchmarks/jobs.py`.

Postgres (fsync on) and Valkey of its own, the real dispatcher and one real unit. Prints tables
for benchmarks/RESULTS.md; Procrastinate runs in `.venv-peers`, on the same Postgres.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import UUID, uuid4

from jobs_unit import NOTHING
from psycopg import sql
from sqlalchemy import func, select

from core.jobs import claims
from core.jobs.kinds import Kind
from core.jobs.models import UNFINISHED, Job
from core.jobs.submit import submit_job
from core.jobs.turns import set_turns
from core.jobs.units import register_units
from core.jobs.waiting import wait_for_job
from core.local.account import Account
from core.local.postgres import LocalPostgres
from core.local.valkey import LocalValkey
from core.plans import plan_of
from core.tenancy.models import Tenant
from core.tenancy.provisioning import provision
from core.tenancy.session import open_platform_session, open_session

FOLDER = Path(__file__).resolve().parent
PEERS = FOLDER.parent / ".venv-peers" / "bin" / "python"
PATIENCE_S = 120.0
DISPATCHER = ("-m", "workers.dispatcher")
UNIT_ID = uuid4()


@contextmanager
def servers() -> Iterator[LocalPostgres]:
    account = Account.current()
    account.own(account.home)
    folder = account.own(Path(tempfile.mkdtemp(prefix="b-", dir=account.home)))
    postgres = LocalPostgres(account, folder / "postgres", folder / "s")
    valkey = LocalValkey(account, folder / "valkey", folder / "s")
    try:
        postgres.start()
        valkey.start()
        os.environ |= {
            "ENVIRONMENT": "test",
            "NEOZORK_ENV_FILE": "",
            "DATABASE_URL": postgres.url(),
            "REDIS_URL": valkey.url(),
            "STORAGE_URL": f"file://{folder}/blobs",
            "JWT_SECRET_KEY": "a secret of the benches, long enough to sign with",
            "LOG_LEVEL": "warning",
            "METRICS_PORT": "0",
        }
        subprocess.run([sys.executable, "-m", "migrations.run"], check=True)
        yield postgres
    finally:
        valkey.stop()
        postgres.stop()
        shutil.rmtree(folder)


def platform(dispatcher: Sequence[str] = DISPATCHER) -> AbstractContextManager[None]:
    """Run the dispatcher, or another or none, and one unit, registered as a supervisor would."""
    commands = [[sys.executable, str(FOLDER / "jobs_unit.py"), NOTHING.queue]]
    if dispatcher:
        commands.append([sys.executable, *dispatcher])
    return running(commands)


@contextmanager
def running(commands: Iterable[Sequence[str]]) -> Iterator[None]:
    """Run programs for the length of a block."""
    processes = [subprocess.Popen(command) for command in commands]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def a_tenant(name: str = "bench") -> UUID:
    tenant_id, tier = uuid4(), "professional"
    with open_platform_session() as session:
        session.add(Tenant(id=tenant_id, name=name, subdomain=name, subscription_tier=tier))
        set_turns(session, tenant_id, plan=plan_of(tier))
    provision(tenant_id)
    return tenant_id


def submit(tenant: UUID, kind: Kind = NOTHING) -> UUID:
    with open_session(tenant) as session:
        return submit_job(session, kind=kind, args={})


def finish_one(tenant: UUID) -> UUID:
    register_units(UNIT_ID, {NOTHING.queue: 1})
    job = submit(tenant)
    assert wait_for_job(tenant, job, within_s=PATIENCE_S) == "succeeded"
    return job


def idle_starts(tenant: UUID, samples: int) -> list[float]:
    """Answer the milliseconds from a row's insert to its start, the commit included."""
    jobs = []
    for sample in range(samples):
        jobs.append(finish_one(tenant))
        time.sleep(0.06 + 0.011 * (sample % 8))  # idle again, at no fixed beat
    waited = func.extract("epoch", Job.started_at - Job.not_before) * 1_000
    with open_session(tenant) as session:
        return [float(w) for w in session.scalars(select(waited).where(Job.id.in_(jobs)))]


def full_path(tenant: UUID, count: int) -> float:
    unfinished = select(func.count()).where(Job.status.in_(UNFINISHED))
    began = time.perf_counter()
    for _ in range(count):
        submit(tenant)
    while True:
        register_units(UNIT_ID, {NOTHING.queue: 1})
        with open_session(tenant) as session:
            if session.scalar(unfinished) == 0:
                return count / (time.perf_counter() - began)
        assert time.perf_counter() - began < PATIENCE_S
        time.sleep(0.01)


def bare_loop(tenant: UUID, count: int) -> float:
    """Claim and finish rows one after the other, with nothing round it."""
    jobs = [submit(tenant) for _ in range(count)]
    began = time.perf_counter()
    for job in jobs:
        taken = claims.claim(tenant, job)
        assert taken is not None
        with claims.finishing(taken):
            pass
    return count / (time.perf_counter() - began)


def procrastinate(postgres: LocalPostgres, count: int) -> float:
    name = f"peer_{uuid4().hex[:8]}"
    with postgres.connect_as_superuser() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    done = subprocess.run(
        [PEERS, FOLDER / "jobs_peers.py", postgres.url("postgres", name), str(count)],
        capture_output=True,
        text=True,
        check=True,
    )
    return count / float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    full, bare, peer = [], [], []
    with servers() as postgres:
        tenant = a_tenant()
        with platform():
            finish_one(tenant)
            waits = idle_starts(tenant, options.samples)
        for _ in range(options.rounds):
            bare.append(bare_loop(tenant, options.jobs))
            with platform():
                finish_one(tenant)
                full.append(full_path(tenant, options.jobs))
            if PEERS.exists():
                peer.append(procrastinate(postgres, options.jobs))
            print(bare[-1], full[-1], peer[-1:], flush=True)
    print_tables(waits, full, bare, peer)


def print_tables(
    waits: list[float], full: list[float], bare: list[float], peer: list[float]
) -> None:
    cuts = statistics.quantiles(waits, n=100)
    print("| idle: enqueue → start | p50 | p99 |")
    print("|---|---:|---:|")
    print(f"| {len(waits)} samples | {cuts[49]:.1f} ms | {cuts[98]:.1f} ms |")
    print()
    print("| jobs that do nothing | jobs/s | full path against it |")
    print("|---|---:|---:|")
    ours = statistics.median(full)
    for name, rates in (
        ("full path: submit, dispatch, claim, finish", full),
        ("bare loop: claim, finish", bare),
        ("Procrastinate, one worker of concurrency 1", peer),
    ):
        if rates:
            rate = statistics.median(rates)
            print(f"| {name} | {rate:,.0f} | {ours / rate:.2f} |")


if __name__ == "__main__":
    main()
