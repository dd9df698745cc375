"""Our engine against others on one strategy: `python benchmarks/engine.py [BARS ...]`.

An SMA cross, long only, all cash, orders at the next open. Timed: the indicators, the signals,
the run, equity and trades; not: making the bars, imports, compilation. Medians, one process at
a time on one core; peers in `.venv-peers`, all with freed memory kept as our workers keep it.
Prints a table for benchmarks/RESULTS.md.
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
from engine_bars import CASH, FAST, SLOW, bars

from core.trading.backtest.memory import keep_freed_memory
from core.trading.backtest.run import simulate
from core.trading.backtest.settings import Settings
from core.trading.bars.series import Bars
from core.trading.bars.timeframes import Timeframe
from core.trading.strategy.compiling import compile_signals
from core.trading.strategy.reading import read_strategy

FOLDER = Path(__file__).resolve().parent
PEERS = FOLDER.parent / ".venv-peers" / "bin" / "python"
REPEATS = 15
SLOW_REPEATS = 1
PATIENCE_S = 900
ENGINES = ("vectorbt-numba", "vectorbt-rust", "backtesting.py", "backtrader")


KEEPS_FREED_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2),
    "MALLOC_TRIM_THRESHOLD_": str(256 * 1024**2),
}
CROSS = {
    "spec": "strategy/1",
    "name": "cross",
    "timeframe": "1m",
    "inputs": {
        "fast": {"ta": "SMA", "with": {"timeperiod": FAST}},
        "slow": {"ta": "SMA", "with": {"timeperiod": SLOW}},
    },
    "long": {"entry": "crosses_above(fast, slow)", "exit": "crosses_below(fast, slow)"},
}


def our_bars(count: int) -> Bars:
    stamps = (np.arange(count, dtype=np.int64) + 1) * Timeframe.M1.microseconds
    return Bars("X", Timeframe.M1, stamps, volume=np.ones(count), **bars(count))


def our_run(market: Bars) -> Callable[[], int]:
    strategy, how = read_strategy(CROSS), Settings(cash=CASH)
    return lambda: len(simulate(compile_signals(strategy, {}, market), market, how).trades)


def signals_alone(market: Bars) -> Callable[[], int]:
    strategy = read_strategy(CROSS)
    return lambda: int(compile_signals(strategy, {}, market).long is None)


def run_alone(market: Bars) -> Callable[[], int]:
    signals, how = compile_signals(read_strategy(CROSS), {}, market), Settings(cash=CASH)
    return lambda: len(simulate(signals, market, how).trades)


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
            command,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE_S,
            env=os.environ | KEEPS_FREED_MEMORY,
        )
    except subprocess.TimeoutExpired:
        return None
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["seconds"], answer["trades"]


def main(counts: list[int]) -> None:
    os.sched_setaffinity(0, {0})
    keep_freed_memory()
    print("| bars | engine | trades | median | against ours |")
    print("|---:|---|---:|---:|---:|")
    for count in counts:
        market = our_bars(count)
        ours = timed(our_run(market))
        rows = {
            "NeoZork": ours,
            "of it, indicators and signals": timed(signals_alone(market)),
            "of it, the run": timed(run_alone(market)),
            "summing the four arrays": timed(reading(market)),
        }
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
