"""What is decided at a bar's close: halts, ruin, and the strategy's conditions."""

from core.trading.backtest.entries import in_session, place_order
from core.trading.backtest.events import (
    DAILY_HALT,
    DRAWDOWN_HALT,
    LONG_ENTRY,
    LONG_EXIT,
    SHORT_ENTRY,
    SHORT_EXIT,
    ExitReason,
)
from core.trading.backtest.fills import leave
from core.trading.backtest.jit import compiled
from core.trading.backtest.records import Bar, Ledger, Rules, State


@compiled
def stop_everything(reason: int, state: State) -> None:
    """Cancel every waiting order, and close at the next open what is held."""
    state.pending_entry = 0
    state.order_side = 0
    state.pending_exit = reason if state.quantity != 0.0 else ExitReason.NONE


@compiled
def roll_day(bar: Bar, state: State) -> None:
    """Begin a session day: its loss is measured from the last equity of the day before."""
    if bar.day == state.day:
        return
    state.day = bar.day
    state.day_equity = state.equity
    if state.halted == DAILY_HALT:
        state.halted = 0


@compiled
def watch_halts(rules: Rules, state: State) -> None:
    """Halt at a close at which the day's loss or the drawdown from the peak is reached."""
    if rules.drawdown_halt > 0.0 and state.halted != DRAWDOWN_HALT:
        state.peak = max(state.peak, state.equity)
        if state.peak - state.equity >= rules.drawdown_halt * state.peak:
            state.halted = DRAWDOWN_HALT
            stop_everything(ExitReason.HALT, state)
    if rules.daily_halt > 0.0 and state.halted == 0:
        loss = state.day_equity - state.equity
        if loss >= rules.daily_halt * state.day_equity:
            state.halted = DAILY_HALT
            stop_everything(ExitReason.HALT, state)


@compiled
def watch_ruin(bar: Bar, rules: Rules, state: State, ledger: Ledger) -> None:
    """End the run where nothing is left: liquidate at the next open, or as the profile does."""
    if state.equity > 0.0 or state.ruined:
        return
    state.ruined = 1
    stop_everything(ExitReason.RUIN, state)
    if rules.ruin_at_close:
        if state.quantity != 0.0:
            leave(bar, bar.close, ExitReason.RUIN, rules, state, ledger)
        state.pending_exit = ExitReason.NONE
        state.cash = 0.0
        state.equity = 0.0
    if state.quantity == 0.0:
        state.ended = 1


@compiled
def without_conflicts(bits: int, rules: Rules) -> int:
    """Resolve an entry together with an exit of its side: the exit holds, or neither does.

    vectorbt's default ignores both, and both of two opposite entries.
    """
    for entry, leaving in ((LONG_ENTRY, LONG_EXIT), (SHORT_ENTRY, SHORT_EXIT)):
        if bits & entry and bits & leaving:
            bits = bits & ~entry
            if rules.drop_conflicts:
                bits = bits & ~leaving
    if rules.drop_conflicts and bits & LONG_ENTRY and bits & SHORT_ENTRY:
        bits = bits & ~(LONG_ENTRY | SHORT_ENTRY)
    return bits


@compiled
def decide(bar: Bar, bits: int, rules: Rules, state: State, ledger: Ledger) -> None:
    """Turn the conditions at this close into orders for the next bar."""
    if state.ended or state.ruined or state.halted or state.pending_exit != ExitReason.NONE:
        return
    if state.order_side != 0:
        leaving = LONG_EXIT if state.order_side > 0 else SHORT_EXIT
        if bits & leaving or bar.t >= state.signal_bar + rules.valid_bars:
            state.order_side = 0
    bits = without_conflicts(bits, rules)
    if state.quantity != 0.0:
        decide_in_position(bar, bits, rules, state, ledger)
    elif in_session(bar) and bar.t - state.last_exit_bar >= rules.cooldown_bars:
        wanted = bits & (LONG_ENTRY | SHORT_ENTRY)
        if wanted in (LONG_ENTRY, SHORT_ENTRY):
            place_order(bar, 1 if wanted == LONG_ENTRY else -1, rules, state, ledger)


@compiled
def decide_in_position(bar: Bar, bits: int, rules: Rules, state: State, ledger: Ledger) -> None:
    """Reverse on the opposite entry, leave on an exit or when the longest holding is over.

    Where a cooldown forbids to open at once, the opposite entry only closes.
    """
    side = 1 if state.quantity > 0.0 else -1
    opposite = SHORT_ENTRY if side > 0 else LONG_ENTRY
    leaving = LONG_EXIT if side > 0 else SHORT_EXIT
    reverses = bits & opposite != 0 and in_session(bar)
    leaves = bits & leaving != 0
    too_long = rules.max_bars > 0 and bar.t - state.entry_bar + 1 >= rules.max_bars
    if leaves or too_long:
        state.order_side = 0
    if reverses and rules.cooldown_bars == 0:
        place_order(bar, -side, rules, state, ledger)
    if state.pending_entry != 0 or (reverses and rules.cooldown_bars > 0):
        state.pending_exit = ExitReason.REVERSE
    elif leaves:
        state.pending_exit = ExitReason.SIGNAL
    elif too_long:
        state.pending_exit = ExitReason.MAX_BARS
