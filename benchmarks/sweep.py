"""Sweeps against the bare kernel and against vectorbt: `python benchmarks/sweep.py [CELLS]`.

SMA crosses over 50,000 bars, long only, all cash, orders at the next open, by vectorbt's profile.
The whole path: `run_cells` on two threads, a prepared sweep to cells with summaries, indicators
and signals included. The bare kernel: signals ready, to trades and equity, on two threads. The
peer is in `.venv-peers`. Medians; memory is the peak above what the process held when it was idle.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from engine import KEEPS_FREED_MEMORY, our_bars
from engine_bars import CASH

from core.trading.backtest.kernel import advance
from core.trading.backtest.memory import keep_freed_memory
from core.trading.backtest.settings import Profile, Settings
from core.trading.backtest.simulate import Simulation, opening_state, prepare
from core.trading.bars.series import Bars
from core.trading.research.grid import Grid, read_grid
from core.trading.research.prepared import prepare_sweep
from core.trading.research.sweep import run_cells
from core.trading.strategy.compiling import compile_signals
from core.trading.strategy.frame import Frame
from core.trading.strategy.reading import read_strategy

FOLDER = Path(__file__).resolve().parent
PEERS = FOLDER.parent / ".venv-peers" / "bin" / "python"
BARS = 50_000
THREADS = 2
REPEATS = 7
BATCH = 500
HOW = Settings(cash=CASH, profile=Profile.VECTORBT)
PERIOD = {"type": "int", "default": 20, "min": 2, "max": 2000}
STRATEGY = {
    "spec": "strategy/1",
    "name": "cross",
    "timeframe": "1m",
    "params": {"fast_n": PERIOD, "slow_n": PERIOD},
    "inputs": {
        "fast": {"ta": "SMA", "with": {"timeperiod": "$fast_n"}},
        "slow": {"ta": "SMA", "with": {"timeperiod": "$slow_n"}},
    },
    "long": {"entry": "crosses_above(fast, slow)", "exit": "crosses_below(fast, slow)"},
}
THOUSAND = {"fast_n": list(range(5, 45)), "slow_n": list(range(50, 300, 10))}
TEN_THOUSAND = {"fast_n": list(range(5, 105)), "slow_n": list(range(110, 610, 5))}


def grid_of(axes: dict[str, list[int]]) -> Grid:
    return read_grid(read_strategy(STRATEGY), axes, most_cells=100_000)


def whole_path(market: Bars, grid: Grid) -> float:
    """Answer the seconds of a sweep, prepared anew, so that no column is there yet."""
    sweep = prepare_sweep(read_strategy(STRATEGY), market, grid, settings=HOW, content_hash="x")
    began = time.perf_counter()
    done = sum(1 for _ in run_cells(sweep, range(len(grid)), threads=THREADS))
    taken = time.perf_counter() - began
    assert done == len(grid)
    return taken


class Kernel:
    """The kernel alone over cells whose events are ready; each thread has its own books."""

    def __init__(self, market: Bars, grid: Grid, cells: range) -> None:
        strategy, frame = read_strategy(STRATEGY), Frame(market, "UTC")
        self.market = market
        self.cells = [
            prepare(compile_signals(strategy, grid.params(k), market, frame=frame), market, HOW)
            for k in cells
        ]
        self.books = [self.cells[at].books for at in range(THREADS)]
        for cell in self.cells:
            cell.books = self.books[0]
        self.answers = np.zeros((len(self.cells), 2))

    def run(self) -> float:
        """Answer the seconds of all cells."""
        began = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(self._share, range(THREADS)))
        return time.perf_counter() - began

    def _share(self, thread: int) -> None:
        books, opening = self.books[thread], opening_state(CASH)
        for at in range(thread, len(self.cells), THREADS):
            cell: Simulation = self.cells[at]
            cell.state[:] = opening
            books.written.view(np.int64)[:] = 0
            rest = (books, cell.rules, cell.state)
            advance(0, cell.stop, cell.market, cell.plan, cell.code, *rest)
            self.answers[at] = books.written["trades"][0], cell.state["equity"][0]


def median(once: Callable[[], float], repeats: int = REPEATS) -> float:
    once()
    return statistics.median(once() for _ in range(repeats))


def resident(field: str) -> float:
    """Answer VmRSS or VmHWM in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def memory(whole: bool) -> float:
    """Answer the MB of a sweep's peak above the idle process, in a process of its own."""
    part = "memory-whole" if whole else "memory-kernel"
    command = [sys.executable, str(FOLDER / "sweep.py"), part]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure_memory(part: str) -> None:
    market, few = our_bars(BARS), grid_of({"fast_n": [5, 6], "slow_n": [50]})
    whole_path(market, few)
    kernel = None
    if part == "memory-kernel":
        kernel = Kernel(market, grid_of(THOUSAND), range(1000))
    idle = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if kernel is None:
        whole_path(market, grid_of(THOUSAND))
    else:
        idle -= sum(cell.plan.events.nbytes for cell in kernel.cells) / 1024**2
        kernel.run()
    print(resident("VmHWM") - idle)


def peer(cells: int, folder: str) -> dict[str, float]:
    """Answer vectorbt's seconds over the first cells; its answers are in a file of the folder."""
    command = [PEERS, FOLDER / "sweep_peers.py", str(BARS), str(cells), folder]
    command += [json.dumps(THOUSAND)]
    env = os.environ | KEEPS_FREED_MEMORY
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def ten_thousand(market: Bars) -> tuple[float, float, float]:
    """Answer cells a second: the whole path, signals and kernel, the kernel alone."""
    grid = grid_of(TEN_THOUSAND)
    whole, bare = [], []
    for _ in range(3):
        whole.append(whole_path(market, grid))
        spent = 0.0
        for start in range(0, len(grid), BATCH):
            spent += Kernel(market, grid, range(start, start + BATCH)).run()
        bare.append(spent)
    return len(grid) / statistics.median(whole), len(grid) / statistics.median(bare), len(grid)


def main(cells: int) -> None:
    keep_freed_memory()
    market, grid = our_bars(BARS), grid_of(THOUSAND)
    kernel = Kernel(market, grid, range(len(grid)))
    bare, whole = median(kernel.run), median(lambda: whole_path(market, grid))
    print(f"| 1,000 cells × {BARS:,} bars, {THREADS} threads | median | peak memory |")
    print("|---|---:|---:|")
    print(f"| bare kernel | {1e3 * bare:,.0f} ms | {memory(whole=False):,.0f} MB |")
    print(f"| whole path | {1e3 * whole:,.0f} ms | {memory(whole=True):,.0f} MB |", flush=True)
    del kernel
    kernel = Kernel(market, grid, range(cells))
    with tempfile.TemporaryDirectory() as folder:
        theirs = peer(cells, folder)
        answers = np.load(Path(folder) / "answers.npy")
    ours = median(kernel.run)
    assert np.array_equal(kernel.answers[:, 0], answers[:, 0])
    assert np.allclose(kernel.answers[:, 1], answers[:, 1], rtol=1e-9, atol=0)
    print(f"\n| {cells:,} cells, the same signals, the same answers | median | times ours |")
    print("|---|---:|---:|")
    print(f"| bare kernel, {THREADS} threads | {1e3 * ours:,.0f} ms | 1 |")
    for part, seconds in theirs.items():
        print(f"| vectorbt, Rust: {part} | {1e3 * seconds:,.0f} ms | {seconds / ours:,.0f} |")
    whole_rate, bare_rate, count = ten_thousand(market)
    print(f"\n| {count:,} cells | cells/s | of the bare kernel |")
    print("|---|---:|---:|")
    print(f"| bare kernel | {bare_rate:,.0f} | 1.00 |")
    print(f"| whole path | {whole_rate:,.0f} | {whole_rate / bare_rate:.2f} |")


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("memory"):
        measure_memory(sys.argv[1])
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 1000)
