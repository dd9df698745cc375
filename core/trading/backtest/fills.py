"""Fills: slippage, fees, and what a fill does to cash and to the books."""

from core.trading.backtest.jit import compiled
from core.trading.backtest.records import Bar, Ledger, Rules, State

_NAN = float("nan")
_MICROSECONDS_PER_YEAR = 365.0 * 86_400_000_000.0


@compiled
def fee_of(units: float, price: float, rules: Rules) -> float:
    """Answer the fee of one fill of `units` (unsigned) at `price`."""
    return max(units * price * rules.commission + units * rules.per_unit, rules.minimum)


@compiled
def slipped(price: float, direction: float, rules: Rules) -> float:
    """Answer the price moved against a trader who buys (direction 1) or sells (-1)."""
    return price * (1.0 + direction * rules.slippage)


@compiled
def leave(bar: Bar, price: float, reason: int, rules: Rules, state: State, ledger: Ledger) -> None:
    """Close the whole position at `price` and write the trade.

    In a cash account the fee takes at most what is there: a minimum fee larger than the
    proceeds of a worthless position would otherwise push cash below 0.
    """
    units = abs(state.quantity)
    fee = fee_of(units, price, rules)
    value = state.quantity * price
    if rules.cash_account:
        fee = min(fee, state.cash + value)
    state.cash += value - fee
    if rules.cash_account and state.cash < 0.0:
        state.cash = 0.0
    row = ledger.closed[ledger.trades]
    row.side = 1 if state.quantity > 0.0 else -1
    row.entry_bar = state.entry_bar
    row.exit_bar = bar.t
    row.entry_price = state.entry_price
    row.exit_price = price
    row.quantity = units
    row.fees = state.fees + fee
    row.pnl = state.quantity * (price - state.entry_price) - row.fees
    row.reason = reason
    ledger.trades += 1
    state.last_exit_bar = bar.t
    forget_position(state)


@compiled
def forget_position(state: State) -> None:
    """Reset every field that belongs to a position or to an order that waits for one."""
    state.quantity = 0.0
    state.entry_price = _NAN
    state.entry_bar = -1
    state.fees = 0.0
    state.stop = _NAN
    state.target = _NAN
    state.trail = _NAN
    state.distance = _NAN
    state.risk = _NAN
    state.extreme = _NAN
    state.order_side = 0


@compiled
def open_position(
    bar: Bar, side: int, units: float, price: float, rules: Rules, state: State
) -> None:
    """Take `units` at `price`; the levels have been set before."""
    fee = fee_of(units, price, rules)
    state.quantity = side * units
    state.cash -= state.quantity * price + fee
    state.entry_price = price
    state.entry_bar = bar.t
    state.fees = fee
    state.order_side = 0


@compiled
def leave_at_market(
    bar: Bar, price: float, reason: int, rules: Rules, state: State, ledger: Ledger
) -> None:
    """Close at a market price, with slippage unless the profile's exits have none."""
    if rules.exits_slip:
        price = slipped(price, -1.0 if state.quantity > 0.0 else 1.0, rules)
    leave(bar, price, reason, rules, state, ledger)


@compiled
def reject(bar: Bar, side: int, signal_bar: int, reason: int, ledger: Ledger) -> None:
    """List an entry order that cannot be filled, with its reason."""
    row = ledger.refused[ledger.rejections]
    row.side = side
    row.signal_bar = signal_bar
    row.bar = bar.t
    row.reason = reason
    ledger.rejections += 1


@compiled
def charge_carry(bar: Bar, rules: Rules, state: State) -> None:
    """Charge what holding has cost since the last stamp, ACT/365.

    Borrowed stock is valued at the last close; negative cash pays `finance_apr`.
    """
    years = bar.elapsed / _MICROSECONDS_PER_YEAR
    charge = 0.0
    if state.quantity < 0.0:
        charge -= state.quantity * bar.previous_close * rules.borrow_apr * years
    if state.cash < 0.0:
        charge -= state.cash * rules.finance_apr * years
    state.cash -= charge
    state.fees += charge
