"""What the compiled functions read and write, as records: one definition for numba and mypy.

A numba function sees an element of a structured array as an object with attributes. Each class
below names such a record's fields; `dtype_of` makes the array type from its annotations, so that
a field exists in one place. Prices are in the symbol's currency, bars are counted from 0.
"""

from typing import NamedTuple, get_type_hints

import numpy as np

from core.trading.bars.series import FloatArray, IntArray

RecordArray = np.ndarray[tuple[int], np.dtype[np.void]]
EventArray = np.ndarray[tuple[int], np.dtype[np.uint8]]
WordArray = np.ndarray[tuple[int], np.dtype[np.uint64]]


def dtype_of(record: type) -> np.dtype[np.void]:
    """Answer the structured type of a record class: float64 for float, int64 for int."""
    codes = {float: "f8", int: "i8"}
    return np.dtype([(name, codes[kind]) for name, kind in get_type_hints(record).items()])


class Bar:
    """Bar t as the rules read it, with what the strategy says at its close.

    `elapsed`: microseconds since the last stamp. `session`: bits. `long_price`, `short_price`,
    `stop`, `target`, `trail`, `weight`: what an order decided at this close is frozen with.
    """

    t: int
    open: float
    high: float
    low: float
    close: float
    previous_close: float
    elapsed: int
    day: int
    session: int
    long_price: float
    short_price: float
    stop: float
    target: float
    trail: float
    weight: float


class Market(NamedTuple):
    """The bars: float64[n] prices and int64[n] stamps in microseconds."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    stamps: IntArray


class Plan(NamedTuple):
    """What the strategy asks for, per bar.

    `events`: uint8[n], the bits of `core.trading.backtest.events`, and 0 up to a multiple of 8.
    `words`: the same bytes as uint64, eight bars each, the first in the lowest byte. `session`:
    uint8[n], or of length 1 when every bar is alike. `day`: int64[n], or of length 1 when no
    rule reads it. `long_price`, `short_price`: the level of a limit or stop entry. `stop`,
    `target`, `trail`, `weight`: float64[n] or [1], read at the signal's bar; `weight` is the
    size's number (a fraction of equity, or units).
    """

    events: EventArray
    words: WordArray
    session: EventArray
    day: IntArray
    long_price: FloatArray
    short_price: FloatArray
    stop: FloatArray
    target: FloatArray
    trail: FloatArray
    weight: FloatArray


class Code(NamedTuple):
    """A `Program` with the memory it needs: see `core.trading.strategy.program`."""

    code: IntArray
    spans: IntArray
    constants: FloatArray
    columns: FloatArray
    cells: FloatArray
    stack: FloatArray


class Books(NamedTuple):
    """Where the kernel writes: trades and rejections so far, and equity[n - first].

    `written`: one row, how many of both. `bar`, `ledger`: one row each, the kernel's desk.
    """

    trades: RecordArray
    rejections: RecordArray
    equity: FloatArray
    written: RecordArray
    bar: RecordArray
    ledger: RecordArray


class Rules:
    """The run's fixed numbers and switches; a switch is 0 or 1, a fraction is not a percent.

    `max_bars` and the halts are 0 where there is none, `trail_after_r` NaN. `cash_account`: no
    shorts and no leverage, so cash stays at or above 0. `guarded`: positions have levels.
    `reads_*`: some rule reads highs and lows, or the time between stamps. `quiet`: between two
    events nothing but marking to market can happen. The switches after it tell the profiles
    apart.
    """

    first: int
    entry: int
    this_close: int
    ambiguity: int
    valid_bars: int
    limit_through: int
    stop_kind: int
    target_kind: int
    trail_kind: int
    trail_after_r: float
    sizing: int
    max_leverage: float
    lot: float
    max_bars: int
    cooldown_bars: int
    daily_halt: float
    drawdown_halt: float
    flat_at_close: int
    commission: float
    per_unit: float
    minimum: float
    slippage: float
    borrow_apr: float
    finance_apr: float
    has_program: int
    cash_account: int
    guarded: int
    reads_range: int
    reads_elapsed: int
    quiet: int
    levels_first: int
    levels_on_entry_bar: int
    levels_from_signal_close: int
    target_gap_first: int
    drop_conflicts: int
    exits_slip: int
    stops_slip: int
    ruin_at_close: int


class State:
    """The account as of a bar's close: everything that the next bar needs of the past.

    `quantity` is signed. `stop`, `target`, `trail` are NaN where there is none; `distance` is
    the trail's, `risk` |fill - stop|, `extreme` the best price since the entry bar.
    `pending_exit` is the reason of an order to close at the next open, `pending_entry` the side
    of a market order to open. `order_side` and `order_price` are a working limit or stop entry.
    `signal_*` is what the entry that waits was decided with, frozen at `signal_bar`. `fees` is
    what the open position has cost so far; `peak`, `day`, `day_equity`, `halted` serve the halts.
    """

    cash: float
    equity: float
    quantity: float
    entry_price: float
    entry_bar: int
    fees: float
    stop: float
    target: float
    trail: float
    distance: float
    risk: float
    extreme: float
    pending_exit: int
    pending_entry: int
    order_side: int
    order_price: float
    signal_bar: int
    signal_close: float
    signal_stop: float
    signal_target: float
    signal_trail: float
    signal_weight: float
    last_exit_bar: int
    peak: float
    day: int
    day_equity: float
    halted: int
    ended: int
    ruined: int


class TradeRow:
    """A closed trade; `side` is 1 or -1, `quantity` unsigned, `pnl` net of `fees`."""

    side: int
    entry_bar: int
    exit_bar: int
    entry_price: float
    exit_price: float
    quantity: float
    pnl: float
    fees: float
    reason: int


class RejectionRow:
    """An entry order that could not be filled, with the bar at which it was refused."""

    side: int
    signal_bar: int
    bar: int
    reason: int


class Written:
    """How many rows the books hold."""

    trades: int
    rejections: int


class Ledger:
    """What one bar wrote: counts, and the rows to move to the books before the next bar.

    Records carry no reference count, so passing them down costs nothing; arrays would.
    """

    trades: int
    rejections: int
    closed: "list[TradeRow]"
    refused: "list[RejectionRow]"


ROWS_PER_BAR = 4
RULES = dtype_of(Rules)
STATE = dtype_of(State)
BAR = dtype_of(Bar)
TRADE = dtype_of(TradeRow)
REJECTION = dtype_of(RejectionRow)
WRITTEN = dtype_of(Written)
LEDGER = np.dtype(
    [
        ("trades", "i8"),
        ("rejections", "i8"),
        ("closed", TRADE, (ROWS_PER_BAR,)),
        ("refused", REJECTION, (ROWS_PER_BAR,)),
    ]
)
