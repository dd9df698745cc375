"""Fairness and what it costs: `python benchmarks/fairness.py`.

Postgres (fsync on) and Valkey of its own, the real dispatcher, one real unit. Prints the tables
for benchmarks/RESULTS.md.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from threading import Thread
from uuid import UUID

from jobs import DISPATCHER, PATIENCE_S, UNIT_ID, a_tenant, finish_one, platform, servers, submit
from jobs_unit import NAP_S, NAPPING, NOTHING
from psycopg import sql
from sqlalchemy import event, func, insert, select, update

from core.jobs.broker import get_broker, publish
from core.jobs.dispatch import dispatch
from core.jobs.kinds import Kind
from core.jobs.models import UNFINISHED, Job
from core.jobs.picks import WINDOW_PER_UNIT, Message
from core.jobs.units import register_units
from core.jobs.waiting import wait_for_job
from core.local.postgres import LocalPostgres
from core.tenancy.engine import app_engine
from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session, open_session

TENANTS, ROWS, PICKED = 1_000, 1_000_000, 100
SUBMITTERS = 16
# What the whole platform can do on two cores, and a little more.
SUBMITTED_A_SECOND = 300
FIFO = str(Path(__file__).with_name("fairness_fifo.py"))


def fill(tenant: UUID, count: int, kind: Kind) -> None:
    """Queue many jobs at once, as if they had been asked for one after the other."""
    row = {"tenant_id": tenant, "kind": kind.name, "queue": kind.queue, "args": {}}
    with open_session(tenant) as session:
        session.execute(insert(Job), [row] * count)


def drained(tenant: UUID, count: int) -> float:
    """Answer the rate at which a tenant's jobs end, once all of them are there."""
    began = time.perf_counter()
    while True:
        register_units(UNIT_ID, {NOTHING.queue: 1})
        with open_session(tenant) as session:
            left = session.scalar(select(func.count()).where(Job.status.in_(UNFINISHED)))
        if left == 0:
            return count / (time.perf_counter() - began)
        assert time.perf_counter() - began < PATIENCE_S
        time.sleep(0.005)


def ready(tenant: UUID) -> None:
    """Wait for the unit: have it do a job that no dispatcher gave it."""
    job = submit(tenant)
    publish([Message(tenant, job, NOTHING.name, NOTHING.queue)])
    assert wait_for_job(tenant, job, within_s=PATIENCE_S) == "succeeded"


def empty(postgres: LocalPostgres) -> None:
    get_broker().flush(NOTHING.queue)
    with postgres.connect_as_superuser("neozork") as connection:
        connection.execute("TRUNCATE neozork.jobs")


def waits_behind(postgres: LocalPostgres, crowd: UUID, single: UUID, rounds: int) -> list[float]:
    """Answer the milliseconds that a lone job waited behind 10,000 of another tenant."""
    waited = func.extract("epoch", Job.started_at - Job.not_before) * 1_000
    found = []
    for _ in range(rounds):
        empty(postgres)
        fill(crowd, 10_000, NAPPING)
        register_units(UNIT_ID, {NAPPING.queue: 1})
        with platform():
            ready(crowd)
            for _ in range(10):
                job = submit(single, NAPPING)
                status = None
                while status != "succeeded":
                    register_units(UNIT_ID, {NAPPING.queue: 1})
                    with open_session(single) as session:
                        status = session.scalar(select(Job.status).where(Job.id == job))
                    time.sleep(0.02)
                with open_session(single) as session:
                    found.append(float(session.scalar(select(waited).where(Job.id == job)) or 0))
    return found


def alone(postgres: LocalPostgres, tenant: UUID, kind: Kind, count: int) -> tuple[float, ...]:
    """Answer the rates: as it is; first come, first served; every message sent beforehand."""
    rates = []
    for dispatcher in (DISPATCHER, (FIFO,)):
        empty(postgres)
        with platform(dispatcher):
            ready(tenant)
            finish_one(tenant)
            fill(tenant, count, kind)
            rates.append(drained(tenant, count))
    empty(postgres)
    with platform(()):
        ready(tenant)
        fill(tenant, count, kind)
        waits = select(Job.id).where(Job.status == "queued").order_by(Job.not_before, Job.id)
        with open_session(tenant) as session:
            jobs = session.scalars(waits).all()
        publish([Message(tenant, job, kind.name, kind.queue) for job in jobs])
        rates.append(drained(tenant, count))
    return tuple(rates)


def a_million_rows(postgres: LocalPostgres) -> None:
    empty(postgres)
    with postgres.connect_as_superuser("neozork") as connection:
        connection.execute(
            sql.SQL(
                "WITH firms AS (INSERT INTO neozork.turns (tenant_id, queue, cap)"
                " SELECT gen_random_uuid(), {queue}, 8 FROM generate_series(1, {tenants})"
                " RETURNING tenant_id)"
                " INSERT INTO neozork.jobs (tenant_id, kind, queue, args)"
                " SELECT tenant_id, {kind}, {queue}, '{{}}' FROM firms,"
                " generate_series(1, {each})"
            ).format(
                queue=sql.Literal(NOTHING.queue),
                kind=sql.Literal(NOTHING.name),
                tenants=sql.Literal(TENANTS),
                each=sql.Literal(ROWS // TENANTS),
            )
        )
        connection.execute("VACUUM ANALYZE neozork.jobs")
        connection.execute("VACUUM ANALYZE neozork.turns")


def picks(rounds: int) -> tuple[list[float], list[float], int]:
    """Answer the milliseconds of each pick of a hundred, with role, lock and commit, and less.

    The second list: of the statement alone, on the wire and back. And the fewest picked.
    """
    units = -(-PICKED // WINDOW_PER_UNIT)
    statements: list[float] = []
    times, fewest = [], PICKED

    def told(_connection: object, _cursor: object, text: str, *_: object) -> None:
        if text.startswith("WITH flying"):
            statements.append((time.perf_counter() - began) * 1_000)

    event.listen(app_engine(), "before_cursor_execute", told)
    event.listen(app_engine(), "after_cursor_execute", told)
    for _ in range(rounds):
        register_units(UNIT_ID, {NOTHING.queue: units})
        began = time.perf_counter()
        picked = dispatch(NOTHING.queue, lambda _messages: None)
        times.append((time.perf_counter() - began) * 1_000)
        fewest = min(fewest, picked)
        with open_platform_session() as session:
            done = update(Job).where(Job.status == "dispatched")
            session.execute(done.values(status="succeeded", finished_at=func.now()))
    for moment in ("before_cursor_execute", "after_cursor_execute"):
        event.remove(app_engine(), moment, told)
    return times, [after - before for before, after in pairs(statements)], fewest


def pairs(values: list[float]) -> Iterator[tuple[float, float]]:
    return zip(values[::2], values[1::2], strict=True)


@contextmanager
def submitters(count: int, rate: float) -> Iterator[None]:
    """Submit so many jobs a second over so many connections, from a process of its own."""
    program = [sys.executable, __file__, "--submit", str(count), "--rate", str(rate)]
    settings = os.environ | {"DATABASE_POOL_SIZE": str(count)}
    process = subprocess.Popen(program, stdout=subprocess.PIPE, env=settings)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def submit_at(count: int, rate: float) -> None:
    """Submit over so many connections in turn; what is late is sent at once."""
    with open_platform_session() as session:
        tenant = session.scalars(select(Tenant.id)).first()
    assert tenant is not None
    began = time.monotonic()

    def work(nth: int) -> None:
        for turn in itertools.count():
            due = began + (turn * count + nth) / rate
            time.sleep(max(0.0, due - time.monotonic()))
            submit(tenant)

    threads = [Thread(target=work, args=(nth,), daemon=True) for nth in range(count)]
    for thread in threads:
        thread.start()
    print("submitting", flush=True)
    with suppress(KeyboardInterrupt):
        threads[0].join()


def p(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--submit", type=int)
    parser.add_argument("--rate", type=float)
    options = parser.parse_args()
    if options.submit:
        submit_at(options.submit, options.rate)
        return
    with servers() as postgres:
        crowd, single = a_tenant("crowd"), a_tenant("single")
        waits = waits_behind(postgres, crowd, single, options.rounds)
        print("| one job behind 10,000 of another tenant | p50 | worst |")
        print("|---|---:|---:|")
        print(f"| jobs of {NAP_S * 1_000:.0f} ms, {len(waits)} samples ", end="")
        print(f"| {statistics.median(waits):.0f} ms | {max(waits):.0f} ms |")
        print()
        print("| a tenant alone | jobs/s | of first come, first served | of messages sent before |")
        print("|---|---:|---:|---:|")
        for kind, count in ((NAPPING, 500), (NOTHING, 2_000)):
            rounds = [alone(postgres, crowd, kind, count) for _ in range(options.rounds)]
            fair = statistics.median(rates[0] for rates in rounds)
            fifo, sent = (
                statistics.median(rates[0] / rates[other] for rates in rounds) for other in (1, 2)
            )
            print(f"| {kind.name} | {fair:.1f} | {fifo:.2f} | {sent:.2f} |", flush=True)
        print()
        a_million_rows(postgres)
        print("| a pick of 100 from 1M rows of 1,000 tenants | fewest picked | p50 | p99 |")
        print("|---|---:|---:|---:|")
        told_picks("alone")
        for rate, when in ((SUBMITTED_A_SECOND, f"{SUBMITTED_A_SECOND} jobs/s"), (inf, "at once")):
            with submitters(SUBMITTERS, rate):
                told_picks(f"while {SUBMITTERS} connections submit {when}")


def told_picks(when: str) -> None:
    times, statements, fewest = picks(200)
    for what, found in (("the statement", statements), ("with role, lock and commit", times)):
        print(f"| {when}, {what} | {fewest} | {p(found, 50):.1f} ms | {p(found, 99):.1f} ms |")


if __name__ == "__main__":
    main()
