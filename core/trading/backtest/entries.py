"""Entry orders: market ones at an open or a close, limit and stop ones that wait for a price."""

from math import isnan

from core.trading.backtest.events import IN_SESSION, ExitReason, RejectReason
from core.trading.backtest.fills import (
    forget_position,
    leave,
    leave_at_market,
    open_position,
    reject,
    slipped,
)
from core.trading.backtest.jit import compiled
from core.trading.backtest.levels import mirrored_bar, set_levels
from core.trading.backtest.records import Bar, Ledger, Rules, State
from core.trading.backtest.sizing import units_for
from core.trading.strategy.signals import Entry


@compiled
def in_session(bar: Bar) -> bool:
    """Answer whether an entry may be decided or filled at this bar."""
    return (bar.session & IN_SESSION) != 0


@compiled
def place_order(bar: Bar, side: int, rules: Rules, state: State, ledger: Ledger) -> None:
    """Let an entry decided at this close wait, at market or at its price, with its numbers."""
    price = bar.long_price if side > 0 else bar.short_price
    if rules.entry == Entry.MARKET:
        state.pending_entry = side
    elif isnan(price) or price <= 0.0:
        reject(bar, side, bar.t, RejectReason.UNKNOWN_PRICE, ledger)
        return
    else:
        state.order_side = side
        state.order_price = price
    state.signal_bar = bar.t
    state.signal_close = bar.close
    state.signal_stop = bar.stop
    state.signal_target = bar.target
    state.signal_trail = bar.trail
    state.signal_weight = bar.weight


@compiled
def enter(
    bar: Bar,
    side: int,
    price: float,
    market_price: float,
    equity: float,
    rules: Rules,
    state: State,
    ledger: Ledger,
) -> None:
    """Open a position at `price`, or list why it cannot be opened.

    `market_price`: before slippage. `equity`: what the size is measured from.
    """
    origin = state.signal_close if rules.levels_from_signal_close else price
    why = set_levels(side, origin, rules, state)
    units = 0.0
    if why == RejectReason.NONE:
        units, why = units_for(side, price, market_price, equity, rules, state)
    if why == RejectReason.NONE:
        open_position(bar, side, units, price, rules, state)
    else:
        reject(bar, side, state.signal_bar, why, ledger)
        forget_position(state)


@compiled
def fill_pending(bar: Bar, price: float, rules: Rules, state: State, ledger: Ledger) -> None:
    """Fill the market orders that wait, exits before entries, at one market price.

    An exit cancels a working order, but not one that was decided together with it.
    """
    reason = state.pending_exit
    state.pending_exit = ExitReason.NONE
    if reason != ExitReason.NONE and state.quantity != 0.0:
        order_side = state.order_side if state.signal_bar >= bar.t - 1 else 0
        leave_at_market(bar, price, reason, rules, state, ledger)
        state.order_side = order_side
        if reason == ExitReason.RUIN:
            state.ended = 1
    side = state.pending_entry
    state.pending_entry = 0
    if side == 0:
        return
    if in_session(bar):
        fill = slipped(price, side, rules)
        enter(bar, side, fill, price, state.cash, rules, state, ledger)
    else:
        reject(bar, side, state.signal_bar, RejectReason.OUT_OF_SESSION, ledger)


@compiled
def order_fills(bar: Bar, inside: bool, rules: Rules, state: State) -> bool:
    """Answer whether the working order fills at the open, or else `inside` the bar."""
    if state.order_side == 0 or not in_session(bar):
        return False
    start, best, worst, _close = mirrored_bar(bar, state.order_side)
    level = state.order_side * state.order_price
    if rules.entry == Entry.STOP:
        return (best if inside else start) >= level
    reach = worst if inside else start
    return reach < level if rules.limit_through else reach <= level


@compiled
def fill_order(
    bar: Bar, inside: bool, equity: float, rules: Rules, state: State, ledger: Ledger
) -> bool:
    """Fill the working order where it can be, reversing what is held; answer whether one opened."""
    if not order_fills(bar, inside, rules, state):
        return False
    side = state.order_side
    market_price = state.order_price if inside else bar.open
    price = market_price
    if rules.entry == Entry.STOP:
        price = slipped(market_price, side, rules)
    if state.quantity != 0.0:
        leave(bar, price, ExitReason.REVERSE, rules, state, ledger)
    enter(bar, side, price, market_price, equity, rules, state, ledger)
    return state.quantity != 0.0
