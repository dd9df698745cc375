"""One bar of the account: everything between the last close and this one, in this order.

What holding cost since the last stamp; orders at the open, exits before entries; protective
levels; entry orders inside the bar; the session's end; mark to market, ruin and halts. The
strategy's conditions come after it (`decisions.decide`).
"""

from core.trading.backtest.decisions import roll_day, watch_halts, watch_ruin
from core.trading.backtest.entries import fill_order, fill_pending, in_session
from core.trading.backtest.events import SESSION_CLOSE, SESSION_START, ExitReason
from core.trading.backtest.fills import charge_carry, leave, leave_at_market, slipped
from core.trading.backtest.jit import compiled
from core.trading.backtest.levels import (
    level_hit,
    level_hit_after_entry,
    mirrored_bar,
    move_trail,
)
from core.trading.backtest.records import Bar, Ledger, Rules, State
from core.trading.strategy.signals import LevelKind


@compiled
def live_through(bar: Bar, rules: Rules, state: State, ledger: Ledger) -> None:
    """Bring the account from the last close to this one, but for the conditions."""
    if rules.borrow_apr > 0.0 or rules.finance_apr > 0.0:
        charge_carry(bar, rules, state)
    roll_day(bar, state)
    if not state.ended:
        trade_bar(bar, rules, state, ledger)
    if rules.trail_kind != LevelKind.NONE and state.quantity != 0.0:
        side = side_of(state)
        _start, best, _worst, _close = mirrored_bar(bar, side)
        move_trail(best, side, rules, state)
    state.equity = state.cash + state.quantity * bar.close
    if not state.ended:
        watch_ruin(bar, rules, state, ledger)
        watch_halts(rules, state)


@compiled
def trade_bar(bar: Bar, rules: Rules, state: State, ledger: Ledger) -> None:
    """Do everything that happens between the open and the close."""
    if rules.levels_first and protect(bar, rules, state, ledger):
        state.pending_exit = ExitReason.NONE
        state.pending_entry = 0
    if rules.flat_at_close:
        close_missed_session(bar, rules, state, ledger)
    fill_pending(bar, bar.open, rules, state, ledger)
    equity = state.cash + state.quantity * bar.open
    if state.order_side != 0:
        fill_order(bar, False, equity, rules, state, ledger)
    if not rules.levels_first:
        protect(bar, rules, state, ledger)
    if state.order_side != 0 and fill_order(bar, True, equity, rules, state, ledger):
        reason, price = level_hit_after_entry(bar, side_of(state), rules, state)
        leave_at_level(bar, reason, price, rules, state, ledger)
    if rules.flat_at_close and bar.session & SESSION_CLOSE:
        state.order_side = 0
        if state.quantity != 0.0:
            leave_at_market(bar, bar.close, ExitReason.SESSION_CLOSE, rules, state, ledger)


@compiled
def side_of(state: State) -> int:
    """Answer 1 for a long, -1 for a short; only of a position."""
    return 1 if state.quantity > 0.0 else -1


@compiled
def close_missed_session(bar: Bar, rules: Rules, state: State, ledger: Ledger) -> None:
    """Close at this open what the session's closing bar, had there been one, would have closed."""
    new_session = bar.session & SESSION_START != 0
    if state.quantity != 0.0 and (new_session or not in_session(bar)):
        leave_at_market(bar, bar.open, ExitReason.SESSION_CLOSE, rules, state, ledger)


@compiled
def protect(bar: Bar, rules: Rules, state: State, ledger: Ledger) -> bool:
    """Close a position whose level the bar reaches; answer whether it did."""
    if rules.guarded == 0 or state.quantity == 0.0:
        return False
    if state.entry_bar == bar.t and not rules.levels_on_entry_bar:
        return False
    reason, price = level_hit(bar, side_of(state), rules, state)
    leave_at_level(bar, reason, price, rules, state, ledger)
    return reason != ExitReason.NONE


@compiled
def leave_at_level(
    bar: Bar, reason: int, price: float, rules: Rules, state: State, ledger: Ledger
) -> None:
    """Close at a level: a stop or trail slips, a target does not; reason 0 does nothing."""
    if reason == ExitReason.NONE:
        return
    if rules.stops_slip and reason != ExitReason.TARGET:
        price = slipped(price, -side_of(state), rules)
    leave(bar, price, reason, rules, state, ledger)


@compiled
def fill_at_this_close(bar: Bar, rules: Rules, state: State, ledger: Ledger) -> None:
    """Fill at this close what the conditions asked for there; other orders wait."""
    reason = state.pending_exit
    if reason not in (ExitReason.NONE, ExitReason.SIGNAL, ExitReason.REVERSE):
        return
    fill_pending(bar, bar.close, rules, state, ledger)
    if state.entry_bar == bar.t and rules.trail_kind != LevelKind.NONE:
        side = side_of(state)
        move_trail(side * bar.close, side, rules, state)
    state.equity = state.cash + state.quantity * bar.close
