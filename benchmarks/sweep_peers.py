"""Time vectorbt's Rust engine on SMA crosses as one wide array; one JSON line, answers in a file.

Runs in the peers' environment: `python benchmarks/sweep_peers.py BARS CELLS FOLDER AXES`.
"""

import itertools
import json
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import talib
import vectorbt as vbt
from engine_bars import CASH, bars, crosses

REPEATS = 3


def signals(close: np.ndarray, axes: dict[str, list[int]], cells: int) -> list[np.ndarray]:
    """Answer entries and exits, bool[bars, cells], each cell's column in one piece."""
    entries = np.zeros((len(close), cells), dtype=bool, order="F")
    exits = np.zeros_like(entries)
    pairs = itertools.product(axes["fast_n"], axes["slow_n"])
    for column, (fast, slow) in enumerate(itertools.islice(pairs, cells)):
        up, down = crosses(talib.SMA(close, fast), talib.SMA(close, slow))
        entries[1:, column], exits[1:, column] = up[:-1], down[:-1]
    return [entries, exits]


def since(began: tuple[float, float]) -> tuple[float, float]:
    """Answer the seconds since then, and the processor seconds."""
    return time.perf_counter() - began[0], time.process_time() - began[1]


def main(count: int, cells: int, folder: Path, axes: dict[str, list[int]]) -> None:
    warnings.simplefilter("ignore")
    prices = bars(count)
    entries, exits = signals(prices["close"], axes, cells)
    close, start = pd.Series(prices["close"]), prices["open"][:, None]
    orders, answers = "vectorbt, Rust: orders", "vectorbt, Rust: orders, trades, final equity"
    taken: dict[str, list[tuple[float, float]]] = {orders: [], answers: []}
    for _ in range(REPEATS):
        began = time.perf_counter(), time.process_time()
        portfolio = vbt.Portfolio.from_signals(
            close,
            entries=entries,
            exits=exits,
            price=start,
            init_cash=CASH,
            engine="rust",
            freq="1min",
        )
        taken[orders].append(since(began))
        records = portfolio.exit_trades.records
        final = portfolio.final_value().to_numpy()
        taken[answers].append(since(began))
    closed = records[records["status"] == 1]
    trades = np.bincount(closed["col"], minlength=cells)
    np.save(folder / "answers.npy", np.column_stack((trades, final)))
    medians = {
        part: [statistics.median(side) for side in zip(*times, strict=True)]
        for part, times in taken.items()
    }
    print(json.dumps(medians))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4]))
