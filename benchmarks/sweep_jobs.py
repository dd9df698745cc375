"""Ten thousand cells through the whole job path: `python benchmarks/sweep_jobs.py`.

From the request to the parent's end: Postgres (fsync on) and Valkey of its own, the real
dispatcher, two real units, every cell stored. Against it, in turns: the same cells run in two
processes without jobs or database, and the bare kernel over a tenth of them, events ready, on
two threads. Prints a table for benchmarks/RESULTS.md.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from uuid import UUID, uuid4

import numpy as np
from engine import our_bars
from engine_bars import CASH
from jobs import PATIENCE_S, UNIT_ID, a_tenant, servers
from sqlalchemy import select
from sweep_market import (
    BARS,
    STRATEGY,
    TEN_THOUSAND,
    THREADS,
    Kernel,
    grid_of,
    half_in_a_process,
)

from core.jobs.models import Job
from core.jobs.units import register_units
from core.storage.installed import installed_store
from core.tenancy.session import open_session
from core.trading.backtest.memory import keep_freed_memory
from core.trading.bars.canonical import data_hash, write_parquet
from core.trading.bars.series import Bars
from core.trading.models import BarSet, SweepCell
from core.trading.requests.backtests import BacktestRequest
from core.trading.requests.strategies import create_strategy
from core.trading.requests.sweeps import SweepRequest, request_sweep

EVERY = 10


@contextmanager
def two_units() -> Iterator[None]:
    modules = [["workers.unit", "bulk"], ["workers.unit", "bulk"], ["workers.dispatcher"]]
    processes = [subprocess.Popen([sys.executable, "-m", *module]) for module in modules]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def a_request(tenant: UUID, market: Bars, axes: dict[str, list[int]]) -> SweepRequest:
    key = installed_store().put_content(tenant, "bars", write_parquet(market))
    with open_session(tenant) as session:
        bar_set = BarSet(
            name="X",
            symbol="X",
            timeframe="1m",
            file_name="x.parquet",
            upload_key=key,
            upload_bytes=0,
            data_key=key,
            data_hash=data_hash(market),
            rows=len(market),
        )
        session.add(bar_set)
        made = create_strategy(session, name="cross", document=STRATEGY, created_by=uuid4())
        session.flush()
        run = BacktestRequest(UUID(made["id"]), bar_set.id, cash=CASH, profile="vectorbt")
    return SweepRequest(run=run, grid=axes)


def job_path(tenant: UUID, asked: SweepRequest) -> tuple[float, float, UUID]:
    """Answer the seconds to the sweep's end, those of the request alone, and the sweep's id."""
    began = time.perf_counter()
    with open_session(tenant) as session:
        made = request_sweep(session, request=asked, created_by=uuid4())
    requested = time.perf_counter() - began
    status = select(Job.status).where(Job.id == UUID(made["job_id"]))
    while True:
        register_units(UNIT_ID, {"bulk": THREADS})
        with open_session(tenant) as session:
            now = session.scalar(status)
        if now == "succeeded":
            return time.perf_counter() - began, requested, UUID(made["id"])
        assert now in {"waiting", "queued", "dispatched", "running"}, now
        assert time.perf_counter() - began < PATIENCE_S
        time.sleep(0.02)


def stored(tenant: UUID, sweep: UUID) -> np.ndarray:
    """Answer trades and final equity of the stored cells, in their order."""
    numbers = select(SweepCell.summary).where(SweepCell.sweep_id == sweep).order_by(SweepCell.cell)
    with open_session(tenant) as session:
        found = [row for row in session.scalars(numbers) if row]
    return np.array([(row["trades"], row["final_equity"]) for row in found])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    keep_freed_memory()
    market, grid = our_bars(BARS), grid_of(TEN_THOUSAND)
    kernel = Kernel(market, grid, range(0, len(grid), EVERY))
    kernel.run()
    paths, requests, bare, kernels = [], [], [], []
    with (
        servers(),
        two_units(),
        ProcessPoolExecutor(THREADS, get_context("spawn"), keep_freed_memory) as pool,
    ):
        tenant = a_tenant()
        asked = a_request(tenant, market, TEN_THOUSAND)
        job_path(tenant, asked)
        list(pool.map(half_in_a_process, range(THREADS)))
        for _ in range(rounds):
            seconds, requested, sweep = job_path(tenant, asked)
            paths.append(seconds)
            requests.append(requested)
            bare.append(max(pool.map(half_in_a_process, range(THREADS))))
            kernels.append(kernel.run() * EVERY)
            print(seconds, requested, bare[-1], kernels[-1], file=sys.stderr, flush=True)
        answers = stored(tenant, sweep)
    assert len(answers) == len(grid)
    assert np.array_equal(answers[::EVERY], kernel.answers)
    cells = len(grid)
    print(f"| {cells:,} cells of {BARS:,} bars | cells/s | the job path is … of it |")
    print("|---|---:|---:|")
    for name, times in (
        ("whole job path, two units", paths),
        ("the same cells in two processes, no jobs", bare),
        ("bare kernel, events ready, two threads", kernels),
    ):
        taken = statistics.median(times)
        share = statistics.median(one / path for one, path in zip(times, paths, strict=True))
        print(f"| {name} | {cells / taken:,.0f} | {share:.2f} |")
    print(f"\nOf the job path, the request: {1e3 * statistics.median(requests):.0f} ms.")


if __name__ == "__main__":
    main()
