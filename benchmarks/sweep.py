"""Sweeps against the bare kernel and against vectorbt: `python benchmarks/sweep.py [CELLS]`.

SMA crosses over 50,000 bars, long only, all cash, orders at the next open, by vectorbt's profile.
The whole path: `run_cells` on two threads, a prepared sweep to cells with summaries, indicators
and signals included. The bare kernel: events ready, to trades and equity, on two threads. The
peer, in `.venv-peers`, gets the same crosses as one wide array; each cell's number of trades must
equal ours, its final equity agree to 1e-9 of it. Medians; memory is the peak above what the
process held when it was idle. The job path: `python benchmarks/sweep_jobs.py`.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from engine import KEEPS_FREED_MEMORY, our_bars
from sweep_market import BARS, THOUSAND, THREADS, Kernel, grid_of, whole_path

from core.trading.backtest.memory import keep_freed_memory
from core.trading.bars.series import Bars

FOLDER = Path(__file__).resolve().parent
PEERS = FOLDER.parent / ".venv-peers" / "bin" / "python"
REPEATS = 7


Times = tuple[float, float]


def median(once: Callable[[], float], repeats: int = REPEATS) -> Times:
    """Answer the seconds of a repeat, and its processor seconds."""
    once()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        seconds = once()
        times.append((seconds, time.process_time() - began))
    seconds, processor = (statistics.median(side) for side in zip(*times, strict=True))
    return seconds, processor


def resident(field: str) -> float:
    """Answer VmRSS or VmHWM in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def memory(part: str) -> float:
    """Answer the MB of a part's peak above the idle process, in a process of its own."""
    command = [sys.executable, str(FOLDER / "sweep.py"), part]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure_memory(part: str) -> None:
    """Print it; the events that the kernel is given are counted, for they wait in memory."""
    market, few = our_bars(BARS), grid_of({"fast_n": [5, 6], "slow_n": [50]})
    whole_path(market, few, range(len(few)), THREADS)
    kernel = None
    if part == "memory-kernel":
        kernel = Kernel(market, grid_of(THOUSAND), range(1000))
    idle = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if kernel is None:
        whole_path(market, grid_of(THOUSAND), range(1_000), THREADS)
    else:
        idle -= sum(cell.plan.events.nbytes for cell in kernel.cells) / 1024**2
        kernel.run()
    print(resident("VmHWM") - idle)


def peer(cells: int, folder: str) -> dict[str, Times]:
    """Answer vectorbt's times over the first cells; its answers are in a file of the folder."""
    command = [PEERS, FOLDER / "sweep_peers.py", str(BARS), str(cells), folder]
    command += [json.dumps(THOUSAND)]
    env = os.environ | KEEPS_FREED_MEMORY
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    answer: dict[str, Times] = json.loads(done.stdout.splitlines()[-1])
    return answer


def thousand(market: Bars) -> None:
    grid = grid_of(THOUSAND)
    kernel = Kernel(market, grid, range(len(grid)))
    print(f"| 1,000 cells of {BARS:,} bars | median | processor time | peak memory |")
    print("|---|---:|---:|---:|")
    for name, part, once in (
        (f"bare kernel, {THREADS} threads", "memory-kernel", kernel.run),
        ("whole path, 1 thread", None, lambda: whole_path(market, grid, range(1_000), 1)),
        (
            f"whole path, {THREADS} threads",
            "memory-whole",
            lambda: whole_path(market, grid, range(1_000), THREADS),
        ),
    ):
        seconds, processor = median(once)
        most = f"{memory(part):,.0f} MB" if part else ""
        print(f"| {name} | {1e3 * seconds:,.0f} ms | {1e3 * processor:,.0f} ms | {most} |")


def against_vectorbt(market: Bars, cells: int) -> None:
    kernel = Kernel(market, grid_of(THOUSAND), range(cells))
    before = median(kernel.run)
    with tempfile.TemporaryDirectory() as folder:
        theirs = peer(cells, folder)
        answers = np.load(Path(folder) / "answers.npy")
    after = median(kernel.run)
    assert np.array_equal(kernel.answers[:, 0], answers[:, 0])
    assert np.allclose(kernel.answers[:, 1], answers[:, 1], rtol=1e-9, atol=0)
    ours = [sum(both) / 2 for both in zip(before, after, strict=True)]
    print(
        f"\n| {cells:,} cells, the same signals, the same answers | median | processor time ",
        end="",
    )
    print("| times ours | by processor time |")
    print("|---|---:|---:|---:|---:|")
    for name, times in {f"bare kernel, {THREADS} threads": ours, **theirs}.items():
        shares = [time / our for time, our in zip(times, ours, strict=True)]
        print(f"| {name} | {1e3 * times[0]:,.0f} ms | {1e3 * times[1]:,.0f} ms ", end="")
        print(f"| {shares[0]:,.0f} | {shares[1]:,.0f} |")


def main(cells: int) -> None:
    keep_freed_memory()
    market = our_bars(BARS)
    thousand(market)
    against_vectorbt(market, cells)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("memory"):
        measure_memory(sys.argv[1])
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 1000)
