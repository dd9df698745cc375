"""The strategy, the bars and the grids of the sweeps that are measured, and the bare kernel."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from engine import our_bars
from engine_bars import CASH

from core.trading.backtest.kernel import advance
from core.trading.backtest.settings import Profile, Settings
from core.trading.backtest.simulate import Simulation, opening_state, prepare
from core.trading.bars.series import Bars
from core.trading.research.grid import Grid, read_grid
from core.trading.research.prepared import prepare_sweep
from core.trading.research.sweep import run_cells
from core.trading.strategy.compiling import compile_signals
from core.trading.strategy.frame import Frame
from core.trading.strategy.reading import read_strategy

BARS = 50_000
THREADS = 2
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


def whole_path(market: Bars, grid: Grid, cells: range, threads: int) -> float:
    """Answer the seconds of cells, prepared anew, so that no column is there yet."""
    began = time.perf_counter()
    sweep = prepare_sweep(read_strategy(STRATEGY), market, grid, settings=HOW, content_hash="x")
    done = sum(1 for _ in run_cells(sweep, cells, threads=threads))
    assert done == len(cells)
    return time.perf_counter() - began


def half_in_a_process(part: int) -> float:
    """Do every second thousand of ten thousand cells, as one of two processes."""
    market, grid = our_bars(BARS), grid_of(TEN_THOUSAND)
    began = time.perf_counter()
    for start in range(1_000 * part, len(grid), 1_000 * THREADS):
        whole_path(market, grid, range(start, start + 1_000), threads=1)
    return time.perf_counter() - began


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
