"""What a tick costs and how late it is: `python benchmarks/ticks.py`.

A Postgres of its own with many tenants and finished jobs, where nothing is due; then three real
schedulers with a period of a second, of which one is killed and started again, one stopped and
woken, and one an hour ahead. Prints tables for benchmarks/RESULTS.md.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from jobs import servers
from sqlalchemy import select

from core.jobs.kinds import RECONCILE_TURNS
from core.jobs.models import Job
from core.tenancy.engine import owner_engine
from core.tenancy.provisioning import run_script
from core.tenancy.session import open_platform_session
from scheduler.ticks import TICKS

STARTUP = Path(__file__).resolve().parents[1] / "tests" / "faults" / "startup"
PERIOD = timedelta(seconds=1)
MANY = """
INSERT INTO neozork.tenants (name, subdomain, status, trial_ends_at)
    SELECT n, n, 'trialing', now() + interval '1 day' FROM generate_series(1, {tenants}) n;
INSERT INTO neozork.tenant_schemas (tenant_id, revision)
    SELECT id, (SELECT head FROM neozork.tenant_releases) FROM neozork.tenants;
INSERT INTO neozork.jobs (tenant_id, kind, queue, uniqueness, key, args, status)
    SELECT '00000000-0000-0000-0000-000000000000',
        (ARRAY['{kind}', 'tenancy.end_trial', 'tenancy.migrate'])[1 + n % 3], 'housekeeping',
        CASE n % 3 WHEN 0 THEN 'once' ELSE 'coalesce' END,
        to_char(to_timestamp(n), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), '{{}}', 'succeeded'
    FROM generate_series(1, {jobs}) n;
ANALYZE neozork.tenants, neozork.tenant_schemas, neozork.jobs;
"""


def costs(samples: int) -> dict[str, list[float]]:
    """Answer what each tick takes in milliseconds while nothing is due."""
    found: dict[str, list[float]] = {tick.name: [] for tick in TICKS}
    for tick in TICKS:
        tick.function()
    for _ in range(samples):
        for tick in TICKS:
            began = time.perf_counter()
            assert tick.function() == 0
            found[tick.name].append(1e3 * (time.perf_counter() - began))
    return found


def scheduler(**more: str) -> "subprocess.Popen[bytes]":
    armed = {"FAULT": "", "FAULT_SPENT": "", "PYTHONPATH": str(STARTUP), **more}
    return subprocess.Popen(
        [sys.executable, "-m", "scheduler.main"],
        env=os.environ | armed,
        cwd=STARTUP.parents[2],
        stderr=subprocess.DEVNULL,
    )


def run_three(seconds: float) -> None:
    """Run three schedulers, with a fault in each third of the time."""
    third = seconds / 3
    running = [scheduler(), scheduler(), scheduler(CLOCK_AHEAD_S="3600")]
    try:
        time.sleep(third)
        running[0].kill()
        running[0].wait()
        running[1].send_signal(signal.SIGSTOP)
        time.sleep(third)
        running[0] = scheduler(CLOCK_AHEAD_S="-3600")
        running[1].send_signal(signal.SIGCONT)
        time.sleep(third)
    finally:
        for each in running:
            each.kill()
            each.wait()


def lags() -> tuple[list[float], int, int]:
    """Answer how late each period was queued, in ms, and how many are missing and double."""
    asked = select(Job.key, Job.created_at).where(Job.kind == RECONCILE_TURNS.name)
    with open_platform_session() as session:
        rows = session.execute(asked.where(Job.status == "queued").order_by(Job.key)).all()
    begun = [datetime.fromisoformat(key) for key, _ in rows]
    late = [1e3 * (made - at).total_seconds() for at, (_, made) in zip(begun, rows, strict=True)]
    steps = [(later - one) // PERIOD for one, later in pairwise(begun)]
    # The first was under way when the first scheduler came up.
    return late[1:], sum(step - 1 for step in steps if step), steps.count(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--jobs", type=int, default=300_000)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=45.0)
    options = parser.parse_args()
    with servers():
        with owner_engine().begin() as owner:
            many = {"tenants": options.tenants, "jobs": options.jobs}
            run_script(owner, MANY.format(kind=RECONCILE_TURNS.name, **many))
        cost = costs(options.samples)
        with owner_engine().begin() as owner:
            run_script(owner, "TRUNCATE neozork.jobs")
        run_three(options.seconds)
        late, missing, double = lags()
    print(f"| tick, nothing due, every {TICKS[0].every_s} s | p50 | p99 |")
    print("|---|---:|---:|")
    for name, each in cost.items():
        cuts = statistics.quantiles(each, n=100)
        print(f"| {name} | {cuts[49]:.1f} ms | {cuts[98]:.1f} ms |")
    print()
    print("| periods of 1 s | missing | double | late, p50 | max |")
    print("|---:|---:|---:|---:|---:|")
    p50, most = statistics.median(late), max(late)
    print(f"| {len(late)} | {missing} | {double} | {p50:.0f} ms | {most:.0f} ms |")


if __name__ == "__main__":
    main()
