"""A run of the kernel that can stop after any bar and go on: backtests and paper trading."""

from dataclasses import dataclass

import numpy as np

from core.trading.backtest.kernel import advance, close_at_end
from core.trading.backtest.plan import code_of, market_of, plan_of, rules_of
from core.trading.backtest.records import (
    BAR,
    LEDGER,
    REJECTION,
    ROWS_PER_BAR,
    STATE,
    TRADE,
    WRITTEN,
    Books,
    Code,
    Market,
    Plan,
    RecordArray,
)
from core.trading.backtest.settings import Settings
from core.trading.bars.series import Bars, FloatArray
from core.trading.strategy.signals import Signals

FIRST_ROWS = 2**17
_LONG_AGO = -(2**62)


@dataclass(slots=True)
class Simulation:
    """One symbol's run: where it stands, and what it has written.

    `next_bar`: the first bar not yet run. `state`: one row, everything the next bar needs.
    `trades`, `rejections`: the rows so far. `equity`: float64[n - first], valid before
    `next_bar`. `market`, `plan`, `code`, `rules`: the kernel's inputs.
    """

    market: Market
    plan: Plan
    code: Code
    rules: RecordArray
    state: RecordArray
    first: int
    stop: int
    next_bar: int
    books: Books

    @property
    def trades(self) -> RecordArray:
        """The closed trades so far, oldest first (`records.TradeRow`)."""
        return self.books.trades[: int(self.books.written["trades"][0])]

    @property
    def rejections(self) -> RecordArray:
        """The refused entries so far (`records.RejectionRow`)."""
        return self.books.rejections[: int(self.books.written["rejections"][0])]

    @property
    def equity(self) -> FloatArray:
        """The equity at the closes of the bars traded so far."""
        return self.books.equity[: max(0, self.next_bar - self.first)]


def prepare(
    signals: Signals,
    bars: Bars,
    settings: Settings,
    *,
    first: int = 0,
    stop: int | None = None,
    coasts: bool = True,
    books: Books | None = None,
) -> Simulation:
    """Answer a run that stands before bar 0 and trades bars [first, stop).

    Bars before `first` only fill what a position-dependent condition remembers. `coasts` False
    takes every bar through every rule: slower, the same answers. `books`: where to write, empty,
    new ones by default.
    """
    stop = len(bars) if stop is None else stop
    if books is None:
        rows = min(len(bars) + ROWS_PER_BAR, FIRST_ROWS)
        books = empty_books(max(0, stop - first), rows=rows)
    return Simulation(
        market=market_of(bars),
        plan=plan_of(signals, bars, settings),
        code=code_of(signals.program, len(bars)),
        rules=rules_of(signals, settings, first=first, coasts=coasts),
        state=opening_state(settings.cash),
        first=first,
        stop=stop,
        next_bar=0 if signals.program is not None else first,
        books=books,
    )


def run(simulation: Simulation, *, until: int | None = None) -> None:
    """Run the bars up to `until` (exclusive, the end by default)."""
    until = simulation.stop if until is None else min(until, simulation.stop)
    while simulation.next_bar < until:
        simulation.next_bar = advance(
            simulation.next_bar,
            until,
            simulation.market,
            simulation.plan,
            simulation.code,
            simulation.books,
            simulation.rules,
            simulation.state,
        )
        if simulation.next_bar < until:
            _enlarge_books(simulation)


def close_open_position(simulation: Simulation) -> None:
    """Close what is still open at the last bar's close, with costs; reason `end`."""
    if simulation.next_bar > simulation.first:
        if _has_no_room(simulation.books):
            _enlarge_books(simulation)
        close_at_end(
            simulation.next_bar - 1,
            simulation.market,
            simulation.plan,
            simulation.books,
            simulation.rules,
            simulation.state,
        )


def extend(simulation: Simulation, signals: Signals, bars: Bars, settings: Settings) -> Simulation:
    """Answer the same run over longer data, standing where it stood.

    `bars` begin with the bars that the run has seen; `signals` are the strategy's over all of
    them. What the run has decided so far is kept, not decided again.
    """
    longer = prepare(signals, bars, settings, first=simulation.first)
    seen = simulation.next_bar
    longer.state[:] = simulation.state
    longer.next_bar = seen
    longer.code.cells[:, :seen] = simulation.code.cells[:, :seen]
    longer.books.equity[: len(simulation.equity)] = simulation.equity
    longer.books = simulation.books._replace(equity=longer.books.equity)
    return longer


def opening_state(cash: float) -> RecordArray:
    """Answer the account before the first bar."""
    state: RecordArray = np.zeros(1, dtype=STATE)
    for name in ("entry_price", "stop", "target", "trail", "distance", "risk", "extreme"):
        state[name] = np.nan
    for name in ("cash", "equity", "peak", "day_equity"):
        state[name] = cash
    for name in ("last_exit_bar", "day"):
        state[name] = _LONG_AGO
    state["entry_bar"] = -1
    return state


def empty_books(bars: int, *, rows: int) -> Books:
    """Answer books for so many traded bars, with room for so many trades and rejections."""
    return Books(
        trades=np.empty(rows, dtype=TRADE),
        rejections=np.empty(rows, dtype=REJECTION),
        equity=np.empty(bars),
        written=np.zeros(1, dtype=WRITTEN),
        bar=np.zeros(1, dtype=BAR),
        ledger=np.zeros(1, dtype=LEDGER),
    )


def _has_no_room(books: Books) -> bool:
    written = max(books.written[0].item())
    return bool(written > min(len(books.trades), len(books.rejections)) - ROWS_PER_BAR)


def _enlarge_books(simulation: Simulation) -> None:
    books = simulation.books
    simulation.books = books._replace(
        trades=np.concatenate((books.trades, np.empty_like(books.trades))),
        rejections=np.concatenate((books.rejections, np.empty_like(books.rejections))),
    )
