"""Our engine against others on one strategy: `python benchmarks/engine.py [BARS ...]`.

An SMA cross, long only, all cash, orders at the next open. Timed: the indicators, the signals,
the run, equity and trades; not: making the bars, imports, compilation. Medians, one process at
a time on one core; peers in `.venv-peers`. Prints a table for benchmarks/RESULTS.md.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import talib
from engine_bars import CASH, FAST, SLOW, bars, crosses

from core.trading.backtest.settings import Settings
from core.trading.backtest.simulate import prepare, run
from core.trading.bars.series import Bars
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, Timeframe
from core.trading.strategy.signals import Side, Signals

FOLDER = Path(__file__).resolve().parent
PEERS = FOLDER.parent / ".venv-peers" / "bin" / "python"
REPEATS = 9
SLOW_REPEATS = 1
PATIENCE_S = 900
ENGINES = ("vectorbt-numba", "vectorbt-rust", "backtesting.py", "backtrader")


def our_bars(count: int) -> Bars:
    stamps = (np.arange(count, dtype=np.int64) + 1) * Timeframe.M1.microseconds
    return Bars("X", Timeframe.M1, stamps, volume=np.ones(count), **bars(count))


def our_run(market: Bars) -> Callable[[], int]:
    nothing = np.zeros(len(market), dtype=np.int8)
    always = np.ones(len(market), dtype=np.int8)
    day = (market.stamps - 1) // MICROSECONDS_PER_DAY

    def once() -> int:
        up, down = crosses(talib.SMA(market.close, FAST), talib.SMA(market.close, SLOW))
        long = Side(up.view(np.int8), down.view(np.int8))
        signals = Signals(long, None, None, day, always, nothing, nothing)
        simulation = prepare(signals, market, Settings(cash=CASH))
        run(simulation)
        return len(simulation.trades)

    return once


def reading(market: Bars) -> Callable[[], int]:
    columns = (market.open, market.high, market.low, market.close)
    return lambda: int(sum(float(column.sum()) for column in columns) < 0)


def timed(once: Callable[[], int], repeats: int = REPEATS) -> tuple[float, int]:
    answer = once()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        once()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken), answer


def peer(engine: str, count: int) -> tuple[float, int] | None:
    repeats = REPEATS if engine.startswith("vectorbt") else SLOW_REPEATS
    command = [PEERS, FOLDER / "engine_peers.py", engine, str(count), str(repeats)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return None
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["seconds"], answer["trades"]


def main(counts: list[int]) -> None:
    os.sched_setaffinity(0, {0})
    print("| bars | engine | trades | median | against ours |")
    print("|---:|---|---:|---:|---:|")
    for count in counts:
        market = our_bars(count)
        ours = timed(our_run(market))
        rows = {"NeoZork": ours, "summing the four arrays": timed(reading(market))}
        rows |= {engine: peer(engine, count) for engine in ENGINES}
        for name, row in rows.items():
            if row is None:
                print(f"| {count:,} | {name} | | over {PATIENCE_S} s | |", flush=True)
                continue
            seconds, trades = row
            ratio = seconds / ours[0]
            print(
                f"| {count:,} | {name} | {trades:,} | {1e3 * seconds:,.2f} ms | {ratio:,.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [100_000, 1_000_000])
