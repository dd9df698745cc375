"""One backtest as a worker does it, by stage: `python benchmarks/end_to_end.py [BARS ...]`.

Bars kept as Parquet in a folder, through the worker's cache, to the signed document and its
parts, stored in a folder. Medians of the repeats in one process; then fresh processes with the
compiled code in its cache. Prints tables for benchmarks/RESULTS.md.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from engine import CROSS, our_bars

from core.storage.blobs import open_store
from core.trading import runs
from core.trading.backtest.memory import keep_freed_memory
from core.trading.backtest.run import run_backtest
from core.trading.backtest.settings import Settings
from core.trading.backtest.signing import sign_document, signing_key
from core.trading.bars.cache import load_cached
from core.trading.bars.canonical import data_hash, read_parquet_bars, write_parquet
from core.trading.bars.series import Bars
from core.trading.requests.results import ResultPart, result_key
from core.trading.strategy.reading import read_strategy

REPEATS = 7
FRESH_PROCESSES = 5
FIRST_READ = "bars, from the cache, a process's first time"
COLD = ("bars, Parquet to cache", FIRST_READ)
FRESH = """
import time
began = time.perf_counter()
from core.trading import runs
from core.trading.backtest.run import run_backtest
from core.trading.strategy.reading import read_strategy
imported = time.perf_counter()
import sys
sys.path.insert(0, "benchmarks")
from engine import CROSS, our_bars
market = our_bars(3_000)
ready = time.perf_counter()
run_backtest(read_strategy(CROSS), market)
print(imported - began, time.perf_counter() - ready)
"""


class Stages:
    """How long each stage took, in the order in which they first came."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def time(self, name: str, work: Callable[[], Any]) -> Any:
        """Do the work and answer what it answers."""
        began = time.perf_counter()
        answer = work()
        self.seconds.setdefault(name, []).append(time.perf_counter() - began)
        return answer


def backtest(market: Bars, folder: Path) -> dict[str, list[float]]:
    store = open_store(f"file://{folder}/blobs")
    tenant_id, content = uuid4(), data_hash(market)
    key = store.put_content(tenant_id, "bars", write_parquet(market))
    secret = signing_key("a secret of the benchmark, long enough")
    stages = Stages()

    def load(cache: Path) -> Bars:
        return load_cached(
            cache,
            content,
            symbol="X",
            load=lambda: read_parquet_bars(store.get(key), symbol="X", expected_hash=content),
        )

    for turn in range(REPEATS):
        stages.time("bars, Parquet to cache", lambda turn=turn: load(folder / str(turn)))
        stages.time(FIRST_READ, lambda turn=turn: load(folder / str(turn)))
        bars = stages.time("bars, from the cache", lambda turn=turn: load(folder / str(turn)))
        strategy = stages.time("strategy read", lambda: read_strategy(CROSS))
        result = stages.time(
            "run and document",
            lambda strategy=strategy, bars=bars: run_backtest(
                strategy, bars, settings=Settings(), content_hash=content
            ),
        )
        parts = stages.time(
            "series, preview and trades",
            lambda result=result, bars=bars: runs.parts_of(result, bars, cash=10_000.0),
        )

        def keep(parts: dict[ResultPart, bytes] = parts, result_id: str = result.result_id) -> None:
            for part, data in parts.items():
                store.put(result_key(tenant_id, result_id, part), data)

        stages.time("stored", keep)
        document = result.document
        stages.time("signed", lambda document=document: sign_document(document, secret))
    return stages.seconds


def fresh_processes() -> list[list[float]]:
    taken = []
    for _ in range(FRESH_PROCESSES + 1):
        done = subprocess.run(
            [sys.executable, "-c", FRESH], capture_output=True, text=True, check=True
        )
        taken.append([float(part) for part in done.stdout.split()])
    return taken[1:]


def main(counts: list[int]) -> None:
    os.sched_setaffinity(0, {0})
    keep_freed_memory()
    print("| bars | stage | median |")
    print("|---:|---|---:|")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            stages = backtest(our_bars(count), Path(folder))
        warm = {name: taken for name, taken in stages.items() if name not in COLD}
        totals = [sum(turn) for turn in zip(*warm.values(), strict=True)]
        for name, taken in (stages | {"all, bars in the cache": totals}).items():
            print(f"| {count:,} | {name} | {1e3 * statistics.median(taken):,.2f} ms |", flush=True)
    print("\n| a fresh process, compiled code cached | median |\n|---|---:|")
    for name, taken in zip(
        ("imports", "first backtest, 3,000 bars"), zip(*fresh_processes(), strict=True), strict=True
    ):
        print(f"| {name} | {statistics.median(taken):.2f} s |")


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [100_000, 1_000_000])
