"""The bar loop over arrays: read a bar, live through it, decide, write.

The state carries everything between bars, so a run may stop after any bar and go on later with
the same bits: that is how paper trading uses it.
"""

import numpy as np

from core.trading.backtest.bar_steps import fill_at_this_close, live_through
from core.trading.backtest.decisions import decide
from core.trading.backtest.events import (
    LONG_ENTRY,
    LONG_EXIT,
    SHORT_ENTRY,
    SHORT_EXIT,
    ExitReason,
)
from core.trading.backtest.fills import leave_at_market
from core.trading.backtest.interpreter import holds
from core.trading.backtest.jit import compiled, inlined
from core.trading.backtest.levels import quiet_band
from core.trading.backtest.records import (
    ROWS_PER_BAR,
    Bar,
    Books,
    Code,
    Ledger,
    Market,
    Plan,
    RecordArray,
    Rules,
    State,
    WordArray,
)
from core.trading.bars.series import FloatArray

_NO_BITS = np.uint64(0)
_ALL_BITS = np.uint64(2**64 - 1)
_EVERY_BYTE = np.uint64(0x0101010101010101)
_LOWEST_BYTE = np.uint64(0xFF)
_BYTE = np.uint64(8)


@compiled
def advance(
    start: int,
    stop: int,
    market: Market,
    plan: Plan,
    program: Code,
    books: Books,
    rules_row: RecordArray,
    state_row: RecordArray,
) -> int:
    """Run bars [start, stop) and answer the next bar: `stop`, or less where the books are full."""
    rules = rules_row[0]
    state = state_row[0]
    bar = books.bar[0]
    ledger = books.ledger[0]
    t = start
    while t < stop:
        if t >= rules.first and is_quiet(rules, state):
            t = coast(t, stop, market, plan, books, rules, state)
            if t == stop:
                break
        if books_are_full(books):
            break
        read_bar(t, market, plan, rules, bar)
        if t >= rules.first:
            live_through(bar, rules, state, ledger)
        bits = int(plan.events[t])
        if rules.has_program:
            bits = conditions(bits, t, program, bar, state)
        if t >= rules.first:
            decide(bar, bits, rules, state, ledger)
            if rules.this_close:
                fill_at_this_close(bar, rules, state, ledger)
            books.equity[t - rules.first] = state.equity
            write_books(books, ledger)
        t += 1
    return t


@inlined
def is_quiet(rules: Rules, state: State) -> bool:
    """Answer whether the next bar need only be marked unless an event or a level comes."""
    return (
        rules.quiet != 0
        and state.pending_exit == ExitReason.NONE
        and state.pending_entry == 0
        and state.order_side == 0
        and state.ruined == 0
    )


@inlined
def coast(
    start: int, stop: int, market: Market, plan: Plan, books: Books, rules: Rules, state: State
) -> int:
    """Mark bars to market up to the first at which a rule may fire, and answer that bar.

    It decides nothing, so no rule stands here a second time: it only tells where living through
    a bar would do no more than mark it.
    """
    side, mask = 0, LONG_ENTRY | SHORT_ENTRY
    if state.quantity > 0.0:
        side, mask = 1, LONG_EXIT | SHORT_ENTRY
    elif state.quantity < 0.0:
        side, mask = -1, LONG_ENTRY | SHORT_EXIT
    if side != 0 and rules.max_bars > 0:
        stop = min(stop, max(start, state.entry_bar + rules.max_bars - 1))
    stop = next_event(start, stop, mask, plan.words)
    if side != 0 and rules.guarded:
        below, above = quiet_band(side, rules, state)
        stop = next_reach(start, stop, below, above, market.low, market.high)
    if state.quantity < 0.0 or state.cash <= 0.0:
        stop = next_ruin(start, stop, state.cash, state.quantity, market.close)
    mark(start, stop, rules.first, state.cash, state.quantity, market.close, books.equity)
    if stop > start:
        state.equity = books.equity[stop - 1 - rules.first]
    return stop


@compiled
def next_event(start: int, stop: int, mask: int, words: WordArray) -> int:
    """Answer the first bar of [start, stop) with one of the event bits of `mask`, or `stop`.

    Eight bars at a time: of the word with `start` in it, the bars before are cleared.
    """
    if start >= stop:
        return stop
    wanted = np.uint64(mask) * _EVERY_BYTE
    at, last = start >> 3, (stop - 1) >> 3
    found = words[at] & wanted & (_ALL_BITS << np.uint64((start & 7) << 3))
    while found == _NO_BITS:
        if at == last:
            return stop
        at += 1
        found = words[at] & wanted
    t = at << 3
    while found & _LOWEST_BYTE == _NO_BITS:
        found >>= _BYTE
        t += 1
    return min(t, stop)


@compiled
def next_reach(
    start: int, stop: int, below: float, above: float, low: FloatArray, high: FloatArray
) -> int:
    """Answer the first bar of [start, stop) that leaves the band between two levels, or `stop`."""
    for t in range(start, stop):
        if low[t] <= below or high[t] >= above:
            return t
    return stop


@compiled
def next_ruin(start: int, stop: int, cash: float, quantity: float, close: FloatArray) -> int:
    """Answer the first bar of [start, stop) at whose close nothing is left, or `stop`."""
    for t in range(start, stop):
        if cash + quantity * close[t] <= 0.0:
            return t
    return stop


@compiled
def mark(
    start: int,
    stop: int,
    first: int,
    cash: float,
    quantity: float,
    close: FloatArray,
    equity: FloatArray,
) -> None:
    """Mark bars [start, stop) to market.

    Slices, because an index that might be negative is checked at every bar and not vectorised.
    """
    prices, marks = close[start:stop], equity[start - first : stop - first]
    for k in range(len(prices)):
        marks[k] = cash + quantity * prices[k]


@inlined
def read_bar(t: int, market: Market, plan: Plan, rules: Rules, bar: Bar) -> None:
    """Gather what the rules read of bar t, and only that: each column may be a cache miss."""
    bar.t = t
    bar.open = market.open[t]
    bar.close = market.close[t]
    if rules.reads_range:
        bar.high = market.high[t]
        bar.low = market.low[t]
    if rules.reads_elapsed and t > 0:
        bar.previous_close = market.close[t - 1]
        bar.elapsed = market.stamps[t] - market.stamps[t - 1]
    if rules.daily_halt > 0.0:
        bar.day = plan.day[t]
    bar.session = plan.session[min(t, len(plan.session) - 1)]
    bar.long_price = plan.long_price[min(t, len(plan.long_price) - 1)]
    bar.short_price = plan.short_price[min(t, len(plan.short_price) - 1)]
    bar.stop = plan.stop[min(t, len(plan.stop) - 1)]
    bar.target = plan.target[min(t, len(plan.target) - 1)]
    bar.trail = plan.trail[min(t, len(plan.trail) - 1)]
    bar.weight = plan.weight[min(t, len(plan.weight) - 1)]


@inlined
def conditions(bits: int, t: int, program: Code, bar: Bar, state: State) -> int:
    """Answer the event bits of bar t with those that the program computes."""
    for span in range(4):
        if program.spans[span, 1] > program.spans[span, 0]:
            bit = 1 << span
            bits = bits & ~bit
            if holds(span, t, program, bar.close, state):
                bits = bits | bit
    return bits


@inlined
def books_are_full(books: Books) -> bool:
    """Answer whether one more bar might write more rows than there is room for."""
    written = books.written[0]
    room = min(len(books.trades), len(books.rejections)) - ROWS_PER_BAR
    return bool(max(written.trades, written.rejections) > room)


@inlined
def write_books(books: Books, ledger: Ledger) -> None:
    """Move the bar's rows to the books."""
    written = books.written[0]
    for k in range(ledger.trades):
        books.trades[written.trades] = ledger.closed[k]
        written.trades += 1
    for k in range(ledger.rejections):
        books.rejections[written.rejections] = ledger.refused[k]
        written.rejections += 1
    ledger.trades = 0
    ledger.rejections = 0


@compiled
def close_at_end(
    t: int,
    market: Market,
    plan: Plan,
    books: Books,
    rules_row: RecordArray,
    state_row: RecordArray,
) -> None:
    """Close at the close of the last bar t what is still open, as a market order would."""
    rules = rules_row[0]
    state = state_row[0]
    bar = books.bar[0]
    ledger = books.ledger[0]
    if state.quantity != 0.0:
        read_bar(t, market, plan, rules, bar)
        leave_at_market(bar, bar.close, ExitReason.END, rules, state, ledger)
        state.equity = state.cash
        books.equity[t - rules.first] = state.equity
        write_books(books, ledger)
