"""The door from signals and settings to the kernel's arrays.

numba compiles anew, for half a second, when an array is read-only, not contiguous or of another
type. So everything passes through here and leaves as C-contiguous, writable and of one type.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.trading.backtest.events import (
    IN_SESSION,
    SESSION_CLOSE,
    SESSION_START,
    SizeRule,
)
from core.trading.backtest.jit import compiled
from core.trading.backtest.profiles import SWITCHES
from core.trading.backtest.records import (
    RULES,
    Code,
    EventArray,
    Market,
    Plan,
    RecordArray,
)
from core.trading.backtest.settings import Settings
from core.trading.backtest.volatility import volatility_weights
from core.trading.bars.series import Bars, FlagArray, FloatArray
from core.trading.strategy.program import Program
from core.trading.strategy.signals import Entry, Fill, Level, LevelKind, Side, Signals, SizingMethod

_BPS = 10_000.0
_PERCENT = 100.0
_BARS_PER_WORD = 8
_NOTHING = np.full(1, np.nan)
_NO_DAYS = np.zeros(1, dtype=np.int64)


def owned(values: Any, kind: type) -> NDArray[Any]:
    """Answer the values as a C-contiguous, writable array of that type, copied only if need be."""
    return np.require(values, dtype=kind, requirements=("C", "W"))


def market_of(bars: Bars) -> Market:
    """Answer the bars' columns as the kernel reads them."""
    return Market(
        open=owned(bars.open, np.float64),
        high=owned(bars.high, np.float64),
        low=owned(bars.low, np.float64),
        close=owned(bars.close, np.float64),
        stamps=owned(bars.stamps, np.int64),
    )


def plan_of(signals: Signals, bars: Bars, settings: Settings) -> Plan:
    """Answer the strategy's arrays as the kernel reads them."""
    events = _events(signals, len(bars))
    events[: SWITCHES[settings.profile].first_decision_bar] = 0
    return Plan(
        events=events,
        words=events.view("<u8"),
        session=_session(signals),
        day=_NO_DAYS if signals.day is None else owned(signals.day, np.int64),
        long_price=_order_price(signals.long),
        short_price=_order_price(signals.short),
        stop=_level(signals.stop),
        target=_level(signals.target),
        trail=_level(signals.trail),
        weight=_weights(signals, bars),
    )


def _events(signals: Signals, bars: int) -> EventArray:
    nothing = np.zeros(bars, dtype=np.int8)
    flags = [
        _as_flags(column)
        for side in (signals.long, signals.short)
        for column in ((nothing, nothing) if side is None else (side.entry, side.exit))
    ]
    events = room_for_events(bars)
    pack_events(flags[0], flags[1], flags[2], flags[3], events)
    return events


def _as_flags(column: NDArray[Any]) -> FlagArray:
    return owned(column if column.dtype == np.int8 else column.astype(bool).view(np.int8), np.int8)


def room_for_events(bars: int) -> EventArray:
    """Answer the events of so many bars, none yet, with zeros up to a whole word."""
    return np.zeros(-(-bars // _BARS_PER_WORD) * _BARS_PER_WORD, dtype=np.uint8)


@compiled
def pack_events(
    long_entry: FlagArray,
    long_exit: FlagArray,
    short_entry: FlagArray,
    short_exit: FlagArray,
    events: EventArray,
) -> None:
    """Write the bits of the four conditions, int8[n] of 0 and 1 each, over the events."""
    for t in range(len(long_entry)):
        long = long_entry[t] | (long_exit[t] << 1)
        events[t] = long | (short_entry[t] << 2) | (short_exit[t] << 3)


def _bits(flags: NDArray[Any], bit: int) -> EventArray:
    ones: EventArray = (flags if flags.dtype == np.int8 else flags.astype(bool)).view(np.uint8)
    return ones if bit == 1 else ones * np.uint8(bit)


def _session(signals: Signals) -> EventArray:
    if not signals.flat_at_close and bool(signals.in_session.all()):
        return np.full(1, IN_SESSION, dtype=np.uint8)
    return (
        _bits(signals.in_session, IN_SESSION)
        | _bits(signals.session_close, SESSION_CLOSE)
        | _bits(signals.session_start, SESSION_START)
    )


def _order_price(side: Side | None) -> FloatArray:
    if side is None or side.price is None:
        return _NOTHING
    return owned(side.price, np.float64)


def _level(level: Level | None) -> FloatArray:
    return _NOTHING if level is None else owned(level.values, np.float64)


def _weights(signals: Signals, bars: Bars) -> FloatArray:
    sizing = signals.sizing
    if sizing.method is SizingMethod.VOL_TARGET:
        return volatility_weights(signals, bars)
    if sizing.method is SizingMethod.FIXED:
        return np.full(1, float(sizing.value))
    weight = 1.0 if sizing.method is SizingMethod.EQUAL_WEIGHT else sizing.value / _PERCENT
    if sizing.max_weight is not None and sizing.method is not SizingMethod.RISK:
        weight = min(weight, sizing.max_weight / _PERCENT)
    return np.full(1, float(weight))


_SIZE_RULES = {
    SizingMethod.PERCENT: SizeRule.WEIGHT,
    SizingMethod.EQUAL_WEIGHT: SizeRule.WEIGHT,
    SizingMethod.VOL_TARGET: SizeRule.WEIGHT,
    SizingMethod.FIXED: SizeRule.UNITS,
    SizingMethod.RISK: SizeRule.RISK,
}


def rules_of(signals: Signals, settings: Settings, *, first: int, coasts: bool) -> RecordArray:
    """Answer the run's rules as a record array of length 1.

    `first`: the first traded bar. `coasts`: whether stretches where nothing can happen may be
    marked to market in one go; the answers are the same either way.
    """
    rules: RecordArray = np.zeros(1, dtype=RULES)
    values = _order_rules(signals) | _money_rules(signals, settings) | _profile_rules(settings)
    switches = SWITCHES[settings.profile]
    values["first"] = first
    values["sizing"] = switches.sizing or _SIZE_RULES[signals.sizing.method]
    values["quiet"] = coasts and _is_quiet(signals, settings)
    for name, value in values.items():
        rules[name] = value
    return rules


def _order_rules(signals: Signals) -> dict[str, float]:
    after_r = signals.trail_after_r
    guarded = any((signals.stop, signals.target, signals.trail))
    return {
        "entry": signals.entry,
        "this_close": signals.fill is Fill.THIS_CLOSE,
        "ambiguity": signals.ambiguity,
        "valid_bars": signals.valid_bars,
        "limit_through": signals.limit_through,
        "stop_kind": _kind(signals.stop),
        "target_kind": _kind(signals.target),
        "trail_kind": _kind(signals.trail),
        "trail_after_r": np.nan if after_r is None else after_r,
        "max_bars": signals.max_bars or 0,
        "cooldown_bars": signals.cooldown_bars,
        "daily_halt": (signals.daily_loss_halt_percent or 0.0) / _PERCENT,
        "drawdown_halt": (signals.drawdown_halt_percent or 0.0) / _PERCENT,
        "flat_at_close": signals.flat_at_close,
        "guarded": guarded,
        "reads_range": guarded or signals.entry is not Entry.MARKET,
        "has_program": signals.program is not None,
    }


def _kind(level: Level | None) -> LevelKind:
    return LevelKind.NONE if level is None else level.kind


def _money_rules(signals: Signals, settings: Settings) -> dict[str, float]:
    costs = settings.costs
    leverage = signals.sizing.max_leverage
    return {
        "max_leverage": leverage,
        "lot": settings.lot,
        "commission": costs.commission_bps / _BPS,
        "per_unit": costs.per_unit,
        "minimum": costs.minimum,
        "slippage": costs.slippage_bps / _BPS,
        "borrow_apr": costs.borrow_apr / _PERCENT,
        "finance_apr": costs.finance_apr / _PERCENT,
        "reads_elapsed": costs.borrow_apr > 0.0 or costs.finance_apr > 0.0,
        "cash_account": signals.short is None and leverage <= 1.0,
    }


def _profile_rules(settings: Settings) -> dict[str, float]:
    switches = SWITCHES[settings.profile]
    return {
        "levels_first": switches.levels_first,
        "levels_on_entry_bar": switches.levels_on_entry_bar,
        "levels_from_signal_close": switches.levels_from_signal_close,
        "target_gap_first": switches.target_gap_first,
        "drop_conflicts": switches.drop_conflicts,
        "exits_slip": switches.exits_slip,
        "stops_slip": switches.stops_slip,
        "ruin_at_close": switches.ruin_at_close,
    }


def _is_quiet(signals: Signals, settings: Settings) -> bool:
    watches = signals.daily_loss_halt_percent or signals.drawdown_halt_percent
    carries = settings.costs.borrow_apr or settings.costs.finance_apr
    moves = signals.trail is not None or signals.program is not None or signals.flat_at_close
    return not (watches or carries or moves)


def code_of(program: Program | None, bars: int) -> Code:
    """Answer a program with its memory; an empty one where the strategy has none."""
    if program is None:
        nothing = np.empty((0, 0))
        return Code(
            np.zeros((0, 3), dtype=np.int64),
            np.zeros((4, 2), dtype=np.int64),
            np.empty(0),
            nothing,
            nothing.copy(),
            np.empty(0),
        )
    return Code(
        owned(program.code, np.int64),
        owned(program.spans, np.int64),
        owned(program.constants, np.float64),
        owned(program.columns, np.float64),
        np.full((program.cells, bars), np.nan),
        np.empty(program.depth + 1),
    )
