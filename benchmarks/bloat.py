"""What a day's load leaves of dead rows: `python benchmarks/bloat.py [--jobs 1000000]`.

A Postgres of its own. Each job is written as the platform writes it: asked for, dispatched,
claimed, its lease renewed twice with progress, ended, and deleted when it is old; a hundred jobs
a statement, so that a day fits into minutes. Autovacuum works by the settings of the migrations;
its naps of a minute are a second here, which shortens them less than the day. Prints a table for
benchmarks/RESULTS.md.
"""

import argparse
import time
from uuid import UUID, uuid4

from jobs import a_tenant, servers
from jobs_unit import NOTHING
from psycopg import Connection, sql

from core.local.postgres import LocalPostgres

BATCH = 100
KEPT = 100_000
LOOKS = 8
_LIFE = (
    (
        "INSERT INTO neozork.jobs (id, tenant_id, kind, queue, args)"
        " SELECT n, {tenant}, {kind}, {queue}, '{{}}' FROM unnest(%(jobs)s) n"
    ),
    (
        "UPDATE neozork.jobs SET status = 'dispatched', dispatched_at = clock_timestamp(),"
        " deadline_at = clock_timestamp() + interval '5 s', publishes = 1 WHERE id = ANY(%(jobs)s)"
    ),
    (
        "UPDATE neozork.jobs SET status = 'running', attempt = 1, started_at = clock_timestamp(),"
        " lease_until = clock_timestamp() + interval '10 s' WHERE id = ANY(%(jobs)s)"
    ),
    (
        "UPDATE neozork.jobs SET progress = 0.3, lease_until = clock_timestamp() + interval '10 s'"
        " WHERE id = ANY(%(jobs)s)"
    ),
    (
        "UPDATE neozork.jobs SET progress = 0.6, lease_until = clock_timestamp() + interval '10 s'"
        " WHERE id = ANY(%(jobs)s)"
    ),
    (
        "UPDATE neozork.jobs SET status = 'succeeded', progress = 1, lease_until = NULL,"
        " finished_at = clock_timestamp() WHERE id = ANY(%(jobs)s)"
    ),
    (
        "UPDATE neozork.turns SET last_pick = clock_timestamp()"
        " WHERE tenant_id = {tenant} AND queue = {queue}"
    ),
)
_RETIRE = (
    "DELETE FROM neozork.jobs WHERE id IN"
    " (SELECT id FROM neozork.jobs WHERE finished_at IS NOT NULL ORDER BY finished_at LIMIT %s)"
)
_IN_FLIGHT = "SELECT count(*) FROM neozork.jobs WHERE status IN ('dispatched', 'running')"
_SIZES = (
    "SELECT pg_relation_size('neozork.jobs'), pg_indexes_size('neozork.jobs'),"
    " pg_total_relation_size('neozork.turns')"
)


def live(connection: Connection, tenant: UUID, count: int) -> None:
    """Take so many jobs through their life, each step a transaction of its own."""
    named = {
        "tenant": sql.Literal(tenant),
        "kind": sql.Literal(NOTHING.name),
        "queue": sql.Literal(NOTHING.queue),
    }
    steps = [sql.SQL(step).format(**named) for step in _LIFE]
    for _ in range(count // BATCH):
        jobs = {"jobs": [uuid4() for _ in range(BATCH)]}
        for step in steps:
            connection.execute(step, jobs)


def retire(connection: Connection, count: int) -> None:
    for _ in range(count // 1_000):
        connection.execute(_RETIRE, [1_000])


def measured(postgres: LocalPostgres, tenant: UUID, jobs: int) -> None:
    with postgres.connect_as_superuser("neozork") as connection:
        connection.autocommit = True
        connection.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        connection.execute("SELECT pg_reload_conf()")
        live(connection, tenant, KEPT)
        for look in range(LOOKS + 1):
            if look:
                live(connection, tenant, jobs // LOOKS)
                retire(connection, jobs // LOOKS)
            told(connection, f"{look * jobs // LOOKS:,}")
        for table in ("jobs", "turns"):
            connection.execute(
                sql.SQL("VACUUM FULL ANALYZE neozork.{}").format(sql.Identifier(table))
            )
        told(connection, "written anew")


def told(connection: Connection, when: str) -> None:
    row = connection.execute(_SIZES).fetchone()
    assert row is not None
    table, indexes, turns = (size / 2**20 for size in row)
    began = time.perf_counter()
    connection.execute(_IN_FLIGHT)
    look = (time.perf_counter() - began) * 1_000
    sizes = f"{table:.1f} MB | {indexes:.1f} MB | {turns:.2f} MB"
    print(f"| {when} | {sizes} | {look:.2f} ms |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    options = parser.parse_args()
    with servers() as postgres:
        tenant = a_tenant()
        print(f"| jobs done, {KEPT:,} kept | table | indexes | turns | counting those in flight |")
        print("|---|---:|---:|---:|---:|")
        measured(postgres, tenant, options.jobs)


if __name__ == "__main__":
    main()
