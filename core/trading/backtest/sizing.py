"""How many units an entry takes, and the bounds that hold whatever the method."""

from math import floor, isnan

from core.trading.backtest.events import RejectReason, SizeRule
from core.trading.backtest.fills import fee_of
from core.trading.backtest.jit import compiled
from core.trading.backtest.records import Rules, State

_JUST_BELOW_ONE = 1.0 - 2.0**-53
_ALMOST_ALL = 1.0 - 2.0**-52
_LOT_TOLERANCE = 1e-9


@compiled
def units_for(
    side: int, price: float, market_price: float, equity: float, rules: Rules, state: State
) -> tuple[float, int]:
    """Answer the units (unsigned) and a reason for refusing, 0 where there is none.

    `price`: the fill with slippage; `market_price`: before it. `equity`: at the fill bar's open.
    """
    weight = state.signal_weight
    if isnan(weight) or (rules.sizing == SizeRule.RISK and isnan(state.stop)):
        return 0.0, RejectReason.UNKNOWN_SIZE
    if rules.sizing == SizeRule.WHOLE_UNITS:
        return whole_units(price, market_price, weight, rules, state)
    if rules.sizing == SizeRule.ALL_CASH:
        return all_cash(price, weight, rules, state)
    if rules.sizing == SizeRule.UNITS:
        units = to_lots(weight, rules.lot)
    elif rules.sizing == SizeRule.RISK:
        both_fees = rules.commission * (price + state.stop) + 2.0 * rules.per_unit
        units = equity * weight / (abs(price - state.stop) + both_fees)
    else:
        units = affordable(equity * weight, price, rules)
    bounded = bound(side, units, price, equity, rules, state)
    if rules.sizing == SizeRule.UNITS and bounded < units:
        return 0.0, RejectReason.INSUFFICIENT_FUNDS
    if bounded <= 0.0:
        return 0.0, RejectReason.SIZE_ZERO
    return bounded, RejectReason.NONE


@compiled
def affordable(budget: float, price: float, rules: Rules) -> float:
    """Answer the units whose price and fee together come to `budget`, before rounding."""
    units = budget / (price * (1.0 + rules.commission) + rules.per_unit)
    if units * (price * rules.commission + rules.per_unit) < rules.minimum:
        units = (budget - rules.minimum) / price
    return units


@compiled
def bound(
    side: int, units: float, price: float, equity: float, rules: Rules, state: State
) -> float:
    """Cut units down to leverage, cash and lot; the last loops settle the last bit."""
    gross = rules.max_leverage * equity
    units = min(units, gross / price)
    pays_cash = side > 0 and rules.max_leverage <= 1.0
    if pays_cash:
        units = min(units, affordable(state.cash, price, rules))
    units = to_lots(units, rules.lot)
    while units > 0.0 and units * price > gross:
        units = one_step_less(units, rules.lot)
    while pays_cash and units > 0.0 and units * price + fee_of(units, price, rules) > state.cash:
        units = one_step_less(units, rules.lot)
    return units


@compiled
def to_lots(units: float, lot: float) -> float:
    """Round down to whole lots; 0.3 units are three lots of 0.1 although 0.3 / 0.1 < 3."""
    if lot <= 0.0:
        return units
    return floor(units / lot + _LOT_TOLERANCE) * lot


@compiled
def one_step_less(units: float, lot: float) -> float:
    """Answer one lot less, or the next smaller float64."""
    if lot <= 0.0:
        return units * _JUST_BELOW_ONE
    return (floor(units / lot + _LOT_TOLERANCE) - 1.0) * lot


@compiled
def whole_units(
    price: float, market_price: float, weight: float, rules: Rules, state: State
) -> tuple[float, int]:
    """Size as backtesting.py 0.6.6 does: floor(cash * share / (price + commission))."""
    share = min(weight, _ALMOST_ALL)
    cost = price + share * market_price * rules.commission / share
    units = float(floor(max(state.cash, 0.0) * share / cost))
    return units, RejectReason.NONE if units > 0.0 else RejectReason.INSUFFICIENT_FUNDS


@compiled
def all_cash(price: float, weight: float, rules: Rules, state: State) -> tuple[float, int]:
    """Size as vectorbt 1.2.0 does: cash * share / (1 + commission) / price."""
    units = state.cash * weight / (1.0 + rules.commission) / price
    return units, RejectReason.NONE if units > 0.0 else RejectReason.INSUFFICIENT_FUNDS
