"""What must hold of every run, whatever the strategy and the market."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.trading.backtest import kernel
from core.trading.backtest.settings import Costs, Profile, Settings
from core.trading.backtest.simulate import Simulation, extend, prepare, run
from core.trading.bars.series import Bars
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, Timeframe
from core.trading.strategy.program import Op, Program
from core.trading.strategy.program import State as Read
from core.trading.strategy.signals import (
    Ambiguity,
    Entry,
    Fill,
    Level,
    LevelKind,
    Side,
    Signals,
    Sizing,
    SizingMethod,
)

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
BARS = 120


def random_bars(seed: int, count: int = BARS, volatility: float = 0.03) -> Bars:
    noise = np.random.default_rng(seed)
    close = 50 * np.cumprod(1 + np.clip(noise.normal(0, volatility, count), -0.6, 0.6))
    start = np.concatenate(([50.0], close[:-1])) * (1 + noise.normal(0, volatility / 3, count))
    high = np.maximum(start, close) * (1 + np.abs(noise.normal(0, volatility / 2, count)))
    low = np.minimum(start, close) * (1 - np.minimum(0.5, np.abs(noise.normal(0, 0.01, count))))
    stamps = (np.arange(count, dtype=np.int64) + 1) * Timeframe.H4.microseconds
    return Bars("X", Timeframe.H4, stamps, start, high, low, close, np.ones(count))


def random_flags(noise: np.random.Generator, count: int, share: float) -> np.ndarray:
    return (noise.random(count) < share).astype(np.int8)


def held_program(bars: Bars) -> Program:
    """Long exit: bars_held >= 3 or unrealized_pct > 4, remembered in a cell a bar ago."""
    code = [
        (Op.STATE, Read.BARS_HELD, 0),
        (Op.CONST, 0, 0),
        (Op.GE, 0, 0),
        (Op.STORE, 0, 0),
        (Op.STATE, Read.UNREALIZED_PCT, 0),
        (Op.CONST, 1, 0),
        (Op.GT, 0, 0),
        (Op.OR, 0, 0),
        (Op.CELL, 0, 1),
        (Op.OR, 0, 0),
    ]
    spans = np.array([[0, 0], [0, len(code)], [0, 0], [0, 0]], dtype=np.int64)
    return Program(
        np.array(code, dtype=np.int64), spans, np.array([3.0, 4.0]), np.ones((1, len(bars))), 1, 3
    )


@st.composite
def wishes(draw: st.DrawFn) -> dict[str, Any]:
    """Draw everything that a strategy may ask for beside its conditions."""
    levels = st.none() | st.builds(
        lambda kind, value: Level(kind, np.array([value])),
        st.sampled_from([LevelKind.PERCENT, LevelKind.DISTANCE]),
        st.floats(0.2, 8),
    )
    stop = draw(levels)
    methods = [SizingMethod.PERCENT, SizingMethod.FIXED, SizingMethod.VOL_TARGET]
    sizing = Sizing(
        method=draw(st.sampled_from([*methods, SizingMethod.RISK] if stop else methods)),
        value=draw(st.floats(0.5, 120)),
        max_leverage=draw(st.sampled_from([0.5, 1.0, 1.0, 3.0])),
        lookback=10,
    )
    return {
        "stop": stop,
        "target": draw(levels),
        "trail": draw(levels),
        "entry": draw(st.sampled_from(Entry)),
        "fill": draw(st.sampled_from([Fill.NEXT_OPEN, Fill.NEXT_OPEN, Fill.THIS_CLOSE])),
        "ambiguity": draw(st.sampled_from(Ambiguity)),
        "valid_bars": draw(st.integers(1, 4)),
        "limit_through": draw(st.booleans()),
        "sizing": sizing,
        "max_bars": draw(st.none() | st.integers(1, 9)),
        "cooldown_bars": draw(st.integers(0, 3)),
        "daily_loss_halt_percent": draw(st.none() | st.floats(0.5, 5)),
        "drawdown_halt_percent": draw(st.none() | st.floats(5, 60)),
        "flat_at_close": draw(st.booleans()),
    }


def signals_of(bars: Bars, seed: int, *, sides: str, thinks: bool, **wishes: Any) -> Signals:
    noise = np.random.default_rng(seed + 1)
    price = bars.close * (1 + noise.normal(0, 0.01, len(bars)))
    flags = [random_flags(noise, len(bars), share) for share in (0.2, 0.1, 0.2, 0.1)]
    session = random_flags(noise, len(bars), 0.9)
    return Signals(
        long=Side(flags[0], flags[1], price) if "long" in sides else None,
        short=Side(flags[2], flags[3], price) if "short" in sides else None,
        program=held_program(bars) if thinks else None,
        day=(bars.stamps - 1) // MICROSECONDS_PER_DAY,
        in_session=session,
        session_close=random_flags(noise, len(bars), 0.1),
        session_start=random_flags(noise, len(bars), 0.1),
        **wishes,
    )


COSTS = st.builds(
    Costs,
    commission_bps=st.floats(0, 50),
    per_unit=st.sampled_from([0.0, 0.01]),
    minimum=st.sampled_from([0.0, 1.0]),
    slippage_bps=st.floats(0, 30),
    borrow_apr=st.sampled_from([0.0, 5.0]),
    finance_apr=st.sampled_from([0.0, 5.0]),
)
SEEDS = st.integers(0, 2**31)
SIDES = st.sampled_from(["long", "short", "long and short"])


def outcome(simulation: Simulation) -> tuple[bytes, ...]:
    parts = (simulation.equity, simulation.trades, simulation.rejections, simulation.state)
    return tuple(part.tobytes() for part in parts)


def whole(signals: Signals, bars: Bars, how: Settings, *, coasts: bool = True) -> Simulation:
    simulation = prepare(signals, bars, how, coasts=coasts)
    run(simulation)
    return simulation


@FEW
@given(seed=SEEDS, asked=wishes(), costs=COSTS, sides=SIDES, thinks=st.booleans())
def test_equity_is_cash_plus_position_at_every_close(
    *, seed: int, asked: dict[str, Any], costs: Costs, sides: str, thinks: bool
) -> None:
    bars = random_bars(seed)
    signals = signals_of(bars, seed, sides=sides, thinks=thinks, **asked)
    simulation = prepare(signals, bars, Settings(costs=costs))
    for t in range(len(bars)):
        run(simulation, until=t + 1)
        state = simulation.state[0]
        assert simulation.equity[t] == state["cash"] + state["quantity"] * bars.close[t]
    booked = simulation.trades["pnl"].sum()
    held = state["quantity"] * (bars.close[-1] - np.nan_to_num(state["entry_price"]))
    assert simulation.equity[-1] == pytest.approx(10_000 + booked + held - state["fees"])


@FEW
@given(seed=SEEDS, asked=wishes(), costs=COSTS, thinks=st.booleans(), lot=st.sampled_from([0, 1]))
def test_cash_is_never_below_zero_without_shorts_and_leverage(
    *, seed: int, asked: dict[str, Any], costs: Costs, thinks: bool, lot: float
) -> None:
    bars = random_bars(seed, volatility=0.2)
    asked["sizing"] = replace(asked["sizing"], max_leverage=1.0)
    signals = signals_of(bars, seed, sides="long", thinks=thinks, **asked)
    simulation = prepare(signals, bars, Settings(costs=costs, lot=lot))
    for t in range(len(bars)):
        run(simulation, until=t + 1)
        assert simulation.state["cash"][0] >= 0.0


@FEW
@given(
    seed=SEEDS,
    asked=wishes(),
    costs=COSTS,
    sides=SIDES,
    thinks=st.booleans(),
    cuts=st.lists(st.integers(0, BARS), max_size=4),
)
def test_a_run_in_parts_answers_the_same_bits_as_a_run_at_once(
    *, seed: int, asked: dict[str, Any], costs: Costs, sides: str, thinks: bool, cuts: list[int]
) -> None:
    bars = random_bars(seed)
    signals = signals_of(bars, seed, sides=sides, thinks=thinks, **asked)
    parts = prepare(signals, bars, Settings(costs=costs))
    for cut in sorted(cuts):
        run(parts, until=cut)
    run(parts)
    assert outcome(parts) == outcome(whole(signals, bars, Settings(costs=costs)))


def first_bars(bars: Bars, count: int) -> Bars:
    columns = ("stamps", "open", "high", "low", "close", "volume")
    return replace(bars, **{name: getattr(bars, name)[:count].copy() for name in columns})


@FEW
@given(seed=SEEDS, asked=wishes(), sides=SIDES, thinks=st.booleans(), cut=st.integers(1, BARS - 1))
def test_what_comes_later_changes_nothing_of_the_past(
    *, seed: int, asked: dict[str, Any], sides: str, thinks: bool, cut: int
) -> None:
    bars = random_bars(seed)
    signals = signals_of(bars, seed, sides=sides, thinks=thinks, **asked)
    later = first_bars(random_bars(seed + 7), BARS)
    for name in ("open", "high", "low", "close"):
        getattr(later, name)[:cut] = getattr(bars, name)[:cut]
    told, other = prepare(signals, bars, Settings()), prepare(signals, later, Settings())
    run(told, until=cut)
    run(other, until=cut)
    assert outcome(told) == outcome(other)


@FEW
@given(seed=SEEDS, asked=wishes(), sides=SIDES, thinks=st.booleans(), cut=st.integers(1, BARS - 1))
def test_a_run_goes_on_over_bars_that_come_in_later(
    *, seed: int, asked: dict[str, Any], sides: str, thinks: bool, cut: int
) -> None:
    bars = random_bars(seed)
    signals = signals_of(bars, seed, sides=sides, thinks=thinks, **asked)
    simulation = prepare(signals, bars, Settings(), stop=cut)
    run(simulation)
    simulation = extend(simulation, signals, bars, Settings())
    run(simulation)
    assert outcome(simulation) == outcome(whole(signals, bars, Settings()))


@FEW
@given(
    seed=SEEDS,
    asked=wishes(),
    costs=COSTS,
    sides=SIDES,
    profile=st.sampled_from(Profile),
    volatility=st.sampled_from([0.03, 0.3]),
)
def test_coasting_through_quiet_bars_answers_the_same_bits(
    *,
    seed: int,
    asked: dict[str, Any],
    costs: Costs,
    sides: str,
    profile: Profile,
    volatility: float,
) -> None:
    bars = random_bars(seed, volatility=volatility)
    asked |= {"trail": None, "daily_loss_halt_percent": None, "drawdown_halt_percent": None}
    asked |= {"flat_at_close": False}
    costs = replace(costs, borrow_apr=0.0, finance_apr=0.0)
    signals = signals_of(bars, seed, sides=sides, thinks=False, **asked)
    how = Settings(costs=costs, profile=profile)
    quick, slow = whole(signals, bars, how), whole(signals, bars, how, coasts=False)
    assert quick.rules["quiet"][0] == 1
    assert slow.rules["quiet"][0] == 0
    assert outcome(quick) == outcome(slow)


def test_no_run_compiles_anew() -> None:
    bars = random_bars(3)
    whole(signals_of(bars, 3, sides="long", thinks=False), bars, Settings())
    before = len(kernel.advance.signatures)
    odd = replace(
        bars,
        close=np.repeat(bars.close, 2)[::2],
        open=bars.open.astype(np.float32),
        stamps=bars.stamps.astype(np.int32, casting="unsafe").astype(np.int64),
    )
    odd.high.flags.writeable = False
    for sides in ("long", "short", "long and short"):
        for thinks in (False, True):
            signals = signals_of(odd, 3, sides=sides, thinks=thinks, stop=Level(1, np.array([2])))
            signals.day.flags.writeable = False
            whole(signals, odd, Settings(cash=1000, costs=Costs(commission_bps=1)))
    assert before == 1
    assert len(kernel.advance.signatures) == 1
