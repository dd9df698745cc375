"""What must hold of a run from the strategy's document to the bytes of its result."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.trading.backtest.run import run_backtest
from core.trading.backtest.settings import Costs, Settings
from core.trading.backtest.simulate import Simulation, extend, prepare, run
from core.trading.bars.series import Bars
from core.trading.strategy.compiling import compile_signals
from core.trading.strategy.reading import read_strategy
from tests.laws.strategies import ALL, hourly_bars

BARS = 100
HOW = Settings(costs=Costs(commission_bps=5, slippage_bps=2, borrow_apr=3, finance_apr=4))


def first_bars(bars: Bars, count: int) -> Bars:
    columns = ("stamps", "open", "high", "low", "close", "volume")
    return replace(bars, **{name: getattr(bars, name)[:count].copy() for name in columns})


def prepared(document: dict[str, Any], bars: Bars) -> Simulation:
    return prepare(compile_signals(read_strategy(document), {}, bars), bars, HOW)


def decided(simulation: Simulation, *, until: int | None = None) -> tuple[bytes, ...]:
    """Run up to a bar and answer all that was decided by then, orders that wait included."""
    run(simulation, until=until)
    parts = (simulation.equity, simulation.trades, simulation.rejections, simulation.state)
    return tuple(part.tobytes() for part in parts)


def cuts_that_tell(prepare_on: Callable[[Bars], Simulation], bars: Bars) -> list[int]:
    """Answer the cuts at which a run that knows only the bars before it decides otherwise."""
    whole = prepare_on(bars)
    differing = [
        cut
        for cut in range(1, len(bars))
        if decided(prepare_on(first_bars(bars, cut))) != decided(whole, until=cut)
    ]
    assert len(whole.trades) > 2
    return differing


@pytest.mark.parametrize("name", ALL)
def test_cut_at_every_bar_the_decisions_before_it_are_the_same(name: str) -> None:
    assert cuts_that_tell(partial(prepared, ALL[name]), hourly_bars(11, BARS)) == []


def test_a_strategy_that_looks_ahead_is_found_by_cutting() -> None:
    def looking_ahead(bars: Bars) -> Simulation:
        signals = compile_signals(read_strategy(ALL["plain"]), {}, bars)
        tomorrow = np.append(signals.long.entry[1:], np.int8(0))
        ahead = replace(signals, long=replace(signals.long, entry=tomorrow), short=None)
        return prepare(ahead, bars, HOW)

    assert cuts_that_tell(looking_ahead, hourly_bars(11, BARS))


@settings(max_examples=8)
@given(seed=st.integers(0, 2**31), name=st.sampled_from(sorted(ALL)))
def test_bar_by_bar_as_they_come_in_gives_the_bits_of_the_batch(seed: int, name: str) -> None:
    bars = hourly_bars(seed, BARS)
    strategy = read_strategy(ALL[name])
    first = first_bars(bars, 1)
    live = prepare(compile_signals(strategy, {}, first), first, HOW)
    run(live)
    for count in range(2, BARS + 1):
        known = first_bars(bars, count)
        live = extend(live, compile_signals(strategy, {}, known), known, HOW)
        run(live)
    assert decided(live) == decided(prepared(ALL[name], bars))


@settings(max_examples=15)
@given(seed=st.integers(0, 2**31), name=st.sampled_from(sorted(ALL)), bump=st.floats(0.5, 2))
def test_another_future_changes_nothing_of_the_past(seed: int, name: str, bump: float) -> None:
    bars = hourly_bars(seed, BARS)
    cut = BARS // 2 + seed % (BARS // 2)
    later = first_bars(bars, BARS)
    for column in ("open", "high", "low", "close"):
        getattr(later, column)[cut:] *= bump
    told, other = prepared(ALL[name], bars), prepared(ALL[name], later)
    assert decided(told, until=cut) == decided(other, until=cut)


def result_hash(name: str) -> str:
    """Answer the hash of document and series, the bytes that are stored and signed."""
    result = run_backtest(read_strategy(ALL[name]), hourly_bars(5, 2_000), settings=HOW)
    return hashlib.sha256(result.document + result.series).hexdigest()


def test_result_bytes_are_the_same_in_threads_and_in_other_processes() -> None:
    expected = {name: result_hash(name) for name in ALL}
    with ThreadPoolExecutor(4) as pool:
        names = sorted(ALL) * 4
        assert list(pool.map(result_hash, names)) == [expected[name] for name in names]
    program = (
        "from tests.laws.test_language import ALL, result_hash;"
        "print({name: result_hash(name) for name in ALL})"
    )
    command = [sys.executable, "-c", program]
    told = [subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)]
    assert told == [f"{expected}\n".encode()] * 2
