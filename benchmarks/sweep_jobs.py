"""Ten thousand cells through the whole job path: `python benchmarks/sweep_jobs.py`.

From the request to the parent's end: Postgres (fsync on) and Valkey of its own, the real
dispatcher, two real units, every cell stored. Against it, in turns: the same cells run in two
processes without jobs or database, and the bare kernel over a tenth of them, events ready, on
two threads. Beside the time, the processor time of every process that took part, which says what
two free cores could do where others are busy. Prints a table for benchmarks/RESULTS.md.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
from engine import our_bars
from engine_bars import CASH
from jobs import PATIENCE_S, UNIT_ID, a_tenant, running, servers
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
from core.trading.models import BarSet, Sweep, SweepCell
from core.trading.requests.backtests import BacktestRequest
from core.trading.requests.strategies import create_strategy
from core.trading.requests.sweeps import SweepRequest, request_sweep

EVERY = 10
_TICKS = os.sysconf("SC_CLK_TCK")


def spent(pid: int) -> float:
    """Answer the processor seconds of a process, its children, and those that have ended."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    below = [
        int(child)
        for children in Path(f"/proc/{pid}/task").glob("*/children")
        for child in children.read_text().split()
    ]
    return sum(int(ticks) for ticks in stat[11:15]) / _TICKS + sum(map(spent, below))


def measured(once: Callable[[], float]) -> tuple[float, float]:
    """Answer the seconds that it tells, and the processor seconds of all that took part."""
    before = spent(os.getpid())
    taken = once()
    return taken, spent(os.getpid()) - before


def two_units() -> AbstractContextManager[None]:
    modules = [["workers.unit", "bulk"], ["workers.unit", "bulk"], ["workers.dispatcher"]]
    return running([[sys.executable, "-m", *module] for module in modules])


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


def job_path(tenant: UUID, asked: SweepRequest) -> float:
    """Answer the seconds from the request to the sweep's end."""
    began = time.perf_counter()
    with open_session(tenant) as session:
        made = request_sweep(session, request=asked, created_by=uuid4())
    status = select(Job.status).where(Job.id == UUID(made["job_id"]))
    for look in count():
        if look % 20 == 0:
            register_units(UNIT_ID, {"bulk": THREADS})
        with open_session(tenant) as session:
            now = session.scalar(status)
        if now == "succeeded":
            return time.perf_counter() - began
        assert now in {"waiting", "queued", "dispatched", "running"}, now
        assert time.perf_counter() - began < PATIENCE_S
        time.sleep(0.1)
    raise AssertionError


def stored(tenant: UUID) -> np.ndarray:
    """Answer trades and final equity of the newest sweep's cells, in their order."""
    newest = select(Sweep.id).order_by(Sweep.created_at.desc()).limit(1).scalar_subquery()
    numbers = select(SweepCell.summary).where(SweepCell.sweep_id == newest).order_by(SweepCell.cell)
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
    found: list[list[tuple[float, float]]] = [[], [], []]
    with (
        servers(),
        two_units(),
        ProcessPoolExecutor(THREADS, get_context("spawn"), keep_freed_memory) as pool,
    ):
        tenant = a_tenant()
        asked = a_request(tenant, market, TEN_THOUSAND)
        sides: list[Callable[[], float]] = [
            lambda: job_path(tenant, asked),
            lambda: max(pool.map(half_in_a_process, range(THREADS))),
            kernel.run,
        ]
        for side in sides:
            side()
        for _ in range(rounds):
            for times, side in zip(found, sides, strict=True):
                times.append(measured(side))
        answers = stored(tenant)
    found[2] = [(EVERY * seconds, EVERY * cpu) for seconds, cpu in found[2]]
    assert len(answers) == len(grid)
    assert np.array_equal(answers[::EVERY], kernel.answers)
    print_table(found, len(grid))


def print_table(found: list[list[tuple[float, float]]], cells: int) -> None:
    print(f"| {cells:,} cells of {BARS:,} bars | cells/s | processor time a cell ", end="")
    print("| job path against it | by processor time |")
    print("|---|---:|---:|---:|---:|")
    path_seconds, path_cpu = (statistics.median(side) for side in zip(*found[0], strict=True))
    for name, times in zip(
        (
            "whole job path, two units",
            "the same cells in two processes, no jobs",
            "bare kernel, events ready, two threads",
        ),
        found,
        strict=True,
    ):
        seconds, cpu = (statistics.median(side) for side in zip(*times, strict=True))
        print(f"| {name} | {cells / seconds:,.0f} | {1e6 * cpu / cells:,.0f} µs ", end="")
        print(f"| {seconds / path_seconds:.2f} | {cpu / path_cpu:.2f} |")


if __name__ == "__main__":
    main()
