"""Our profiles against what the engines they reproduce answered (`make parity` records it)."""

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from core.trading.backtest.crosses import with_strict_crosses
from core.trading.backtest.run import simulate
from core.trading.backtest.settings import Costs, Profile, Settings
from core.trading.backtest.simulate import Simulation
from core.trading.bars.series import Bars
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, Timeframe
from core.trading.strategy.compiling import compile_signals
from core.trading.strategy.reading import read_strategy
from core.trading.strategy.signals import Level, LevelKind, Side, Signals, Sizing

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = {
    Profile.BACKTESTING_PY: ROOT / "tests/parity/recordings/backtesting_py.json",
    Profile.VECTORBT: ROOT / "tests/parity/recordings/vectorbt.json",
}
TOLERANCE = 1e-6


def load_cases() -> ModuleType:
    name = "parity_cases"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks/parity/cases.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@cache
def market(data_set: str) -> Any:
    return load_cases().market(data_set)


def bars_of(data_set: str) -> Bars:
    columns = market(data_set)
    daily = data_set == "aapl_daily"
    length = MICROSECONDS_PER_DAY if daily else MICROSECONDS_PER_DAY // 24
    return Bars(
        symbol=data_set,
        timeframe=Timeframe.D1 if daily else Timeframe.H1,
        stamps=columns.time.astype("datetime64[us]").astype(np.int64) + length,
        open=columns.open,
        high=columns.high,
        low=columns.low,
        close=columns.close,
        volume=np.ones(len(columns.close)),
        label_offset=length if daily else 0,
    )


def signals_of(case: Any, data_set: str, bars: Bars) -> Signals:
    flags = load_cases().flags(case, market(data_set))
    ones, zeros = np.ones(len(bars), np.int8), np.zeros(len(bars), np.int8)
    stop, target = load_cases().levels(case, data_set)
    sides = {
        "long": Side(flags.long_entry.astype(np.int8), flags.long_exit.astype(np.int8)),
        "short": Side(flags.short_entry.astype(np.int8), flags.short_exit.astype(np.int8)),
    }
    return Signals(
        long=None if case.sides == "short" else sides["long"],
        short=None if case.sides == "long" else sides["short"],
        program=None,
        day=(bars.stamps - 1) // MICROSECONDS_PER_DAY,
        in_session=ones,
        session_close=zeros,
        session_start=zeros,
        stop=None if stop is None else Level(LevelKind.PERCENT, np.array([stop])),
        target=None if target is None else Level(LevelKind.PERCENT, np.array([target])),
        sizing=Sizing(value=case.percent),
    )


def own_signals(case: Any, bars: Bars, profile: Profile) -> Signals:
    up, down = "crosses_above(fast, slow)", "crosses_below(fast, slow)"
    document = {
        "spec": "strategy/1",
        "name": "cross",
        "timeframe": bars.timeframe.label,
        "inputs": {
            "fast": {"ta": "SMA", "with": {"timeperiod": case.fast}},
            "slow": {"ta": "SMA", "with": {"timeperiod": case.slow}},
        },
        "long": {"entry": up, "exit": down},
    }
    if case.sides == "both":
        document["short"] = {"entry": down, "exit": up}
    strategy = read_strategy(document)
    if profile is Profile.BACKTESTING_PY:
        strategy = with_strict_crosses(strategy)
    return compile_signals(strategy, {}, bars)


def our_run(profile: Profile, case: Any, data_set: str) -> Simulation:
    bars = bars_of(data_set)
    signals = signals_of(case, data_set, bars)
    if case.source == "own":
        signals = own_signals(case, bars, profile)
    costs = Costs(commission_bps=case.commission_bps, slippage_bps=case.slippage_bps)
    return simulate(signals, bars, Settings(profile=profile, costs=costs))


def recorded() -> list[Any]:
    found = []
    for profile, path in RECORDINGS.items():
        for run in json.loads(path.read_text(encoding="utf-8")):
            name = f"{profile.value}-{run['data']}-{run['case']}".replace(" ", "_")
            found.append(pytest.param(profile, run, id=name))
    return found


def differences(ours: Simulation, theirs: dict[str, Any]) -> list[str]:
    trades = ours.trades
    order = np.lexsort((trades["entry_bar"], trades["exit_bar"]))
    columns = {
        "entry_bar": trades["entry_bar"][order],
        "exit_bar": trades["exit_bar"][order],
        "size": (trades["quantity"] * trades["side"])[order],
        "entry_price": trades["entry_price"][order],
        "exit_price": trades["exit_price"][order],
        "equity": ours.equity[theirs["equity_bar"]],
    }
    found = []
    for name, mine in columns.items():
        other = np.array(theirs[name])
        if len(mine) != len(other):
            found.append(f"{name}: {len(mine)} against {len(other)}")
        elif not np.allclose(mine, other, rtol=TOLERANCE, atol=TOLERANCE):
            at = int(np.argmax(~np.isclose(mine, other, rtol=TOLERANCE, atol=TOLERANCE)))
            found.append(f"{name}: first at {at}: {mine[at]} against {other[at]}")
    return found


@pytest.mark.parametrize(("profile", "run"), recorded())
def test_a_profile_trades_as_its_engine_did(profile: Profile, run: dict[str, Any]) -> None:
    cases = {case.name: case for case in load_cases().CASES}
    ours = our_run(profile, cases[run["case"]], run["data"])
    assert differences(ours, run) == []


def test_the_recordings_hold_enough_trades_to_tell_engines_apart() -> None:
    runs = [run for path in RECORDINGS.values() for run in json.loads(path.read_text())]
    assert len(runs) >= 36
    assert sum(len(run["size"]) >= 20 for run in runs) >= 36
    assert any(min(run["size"]) < 0 for run in runs)


def test_the_native_rules_are_not_those_of_the_profiles() -> None:
    cases = {case.name: case for case in load_cases().CASES}
    run = next(
        run
        for run in json.loads(RECORDINGS[Profile.VECTORBT].read_text())
        if run["case"] == "noise with tight levels"
    )
    assert differences(our_run(Profile.NATIVE, cases[run["case"]], run["data"]), run)
