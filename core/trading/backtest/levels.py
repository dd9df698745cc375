"""Protective levels: where they are set, when a bar reaches them, how a trail moves.

A short is a long in a mirrored market: prices times the side. Negation is exact in floating
point, so every comparison below is written once, for a long. NaN stands for a level that is not
there, and every comparison with it is false.
"""

from math import isnan

from core.trading.backtest.events import ExitReason, RejectReason
from core.trading.backtest.jit import compiled
from core.trading.backtest.records import Bar, Rules, State
from core.trading.strategy.signals import Ambiguity, Entry, LevelKind

_NAN = float("nan")
_INFINITY = float("inf")


@compiled
def distance_of(kind: int, value: float, origin: float, risk: float) -> float:
    """Answer how far from `origin` a level lies, in price units; NaN where it is unknown."""
    if kind == LevelKind.PERCENT:
        return origin * value / 100.0
    if kind == LevelKind.R:
        return value * risk
    return value


@compiled
def level_at(kind: int, value: float, origin: float, toward: float, risk: float) -> float:
    """Answer the price of a level on the side `toward` (1 above, -1 below) of `origin`."""
    if kind == LevelKind.PRICE:
        return value
    return origin + toward * distance_of(kind, value, origin, risk)


@compiled
def set_levels(side: int, origin: float, rules: Rules, state: State) -> int:
    """Freeze stop, target and trail of an entry measured from `origin`; answer why not, or 0."""
    state.stop = _NAN
    state.target = _NAN
    state.trail = _NAN
    if rules.stop_kind != LevelKind.NONE:
        state.stop = level_at(rules.stop_kind, state.signal_stop, origin, -side, _NAN)
        if isnan(state.stop):
            return RejectReason.UNKNOWN_LEVEL
        if side * state.stop >= side * origin:
            return RejectReason.STOP_ON_WRONG_SIDE
    state.risk = abs(origin - state.stop)
    if rules.target_kind != LevelKind.NONE:
        state.target = level_at(rules.target_kind, state.signal_target, origin, side, state.risk)
        if isnan(state.target):
            return RejectReason.UNKNOWN_LEVEL
        if side * state.target <= side * origin:
            return RejectReason.TARGET_ON_WRONG_SIDE
    return set_trail(side, origin, rules, state)


@compiled
def set_trail(side: int, origin: float, rules: Rules, state: State) -> int:
    """Freeze the trail's distance; one given as a price trails by how far it was from it."""
    if rules.trail_kind == LevelKind.NONE:
        return RejectReason.NONE
    state.distance = distance_of(rules.trail_kind, state.signal_trail, origin, state.risk)
    if rules.trail_kind == LevelKind.PRICE:
        state.distance = side * (origin - state.signal_trail)
    if isnan(state.distance):
        return RejectReason.UNKNOWN_LEVEL
    if state.distance <= 0.0:
        return RejectReason.TRAIL_ON_WRONG_SIDE
    return RejectReason.NONE


@compiled
def tighter(side: int, state: State) -> tuple[float, int]:
    """Answer the mirrored level of stop or trail, whichever holds, and the reason it gives."""
    if isnan(state.trail) or side * state.stop >= side * state.trail:
        return side * state.stop, ExitReason.STOP
    return side * state.trail, ExitReason.TRAIL


@compiled
def mirrored_bar(bar: Bar, side: int) -> tuple[float, float, float, float]:
    """Answer open, best, worst and close of the bar as a long in the mirrored market sees them."""
    if side > 0:
        return bar.open, bar.high, bar.low, bar.close
    return -bar.open, -bar.low, -bar.high, -bar.close


@compiled
def level_hit(bar: Bar, side: int, rules: Rules, state: State) -> tuple[int, float]:
    """Answer reason and price at which the bar takes out a position held since its open, or 0."""
    start, best, worst, _close = mirrored_bar(bar, side)
    guard, reason = tighter(side, state)
    target = side * state.target
    if start <= guard:
        return reason, bar.open
    if rules.target_gap_first and start >= target:
        return ExitReason.TARGET, bar.open
    stopped = worst <= guard
    reached = best >= target
    if stopped and reached:
        nearer = best - start < start - worst
        stopped = not (
            rules.ambiguity == Ambiguity.BEST or (rules.ambiguity == Ambiguity.PATH and nearer)
        )
    if stopped:
        return reason, side * guard
    if reached:
        return ExitReason.TARGET, side * max(start, target)
    return ExitReason.NONE, _NAN


@compiled
def level_hit_after_entry(bar: Bar, side: int, rules: Rules, state: State) -> tuple[int, float]:
    """Answer reason and price of an exit in the bar inside which the entry order filled, or 0."""
    start, best, worst, close = mirrored_bar(bar, side)
    guard, reason = tighter(side, state)
    target = side * state.target
    best_first = best - start < start - worst
    stopped = worst <= guard
    reached = best >= target
    if rules.ambiguity == Ambiguity.PATH:
        if rules.entry == Entry.LIMIT:
            reached = reached and (not best_first or close >= target)
        else:
            stopped = stopped and (best_first or close <= guard)
    elif rules.ambiguity == Ambiguity.WORST and rules.entry == Entry.LIMIT:
        reached = False
    if stopped and reached:
        stop_came_first = rules.entry == Entry.LIMIT and rules.ambiguity == Ambiguity.PATH
        stopped = rules.ambiguity == Ambiguity.WORST or stop_came_first
    if stopped:
        return reason, side * guard
    if reached:
        return ExitReason.TARGET, side * target
    return ExitReason.NONE, _NAN


@compiled
def move_trail(best: float, side: int, rules: Rules, state: State) -> None:
    """Move the trail at a close: from the extreme since the entry bar, never looser.

    `best`: the bar's best price as the mirrored market sees it.
    """
    extreme = side * state.extreme
    if isnan(extreme) or best > extreme:
        extreme = best
        state.extreme = side * extreme
    gained = extreme - side * state.entry_price
    if gained < rules.trail_after_r * state.risk:
        return
    level = extreme - state.distance
    if isnan(state.trail) or level > side * state.trail:
        state.trail = side * level


@compiled
def quiet_band(side: int, rules: Rules, state: State) -> tuple[float, float]:
    """Answer the prices between which a bar reaches no level: (below, above)."""
    if side == 0 or (rules.stop_kind == LevelKind.NONE and rules.target_kind == LevelKind.NONE):
        return -_INFINITY, _INFINITY
    below = state.stop if side > 0 else state.target
    above = state.target if side > 0 else state.stop
    return (
        -_INFINITY if isnan(below) else below,
        _INFINITY if isnan(above) else above,
    )
