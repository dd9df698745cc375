"""The summary of a run: every number that stands in the result document."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.trading.backtest.daily import cagr, measure_days, session_ends
from core.trading.backtest.drawdowns import measure_drawdowns
from core.trading.backtest.exact_sums import ROOM
from core.trading.backtest.growth import growth
from core.trading.backtest.jit import compiled
from core.trading.backtest.records import Books, Market, RecordArray
from core.trading.backtest.run_numbers import NUMBERS
from core.trading.backtest.session_days import periods_per_year
from core.trading.backtest.simulate import Simulation
from core.trading.backtest.trade_statistics import bars_in_market, measure_trades
from core.trading.bars.series import Bars, FloatArray, IntArray

UNTESTED = "untested"
_ORDER = (
    *("final_equity", "total_return", "cagr", "volatility", "sharpe", "verdict", "sortino"),
    *("calmar", "max_drawdown", "max_drawdown_days", "longest_drawdown_days", "exposure", "fees"),
    *("turnover", "buy_and_hold_return", "bars", "days", "periods_per_year", "open_trades"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """The traded bars [first, stop) as the numbers of a run need them.

    `day_ends`: int64[d], the last bar of each session day, counted from `first`. `periods`: days
    a year. `microseconds`: from the first to the last stamp. `hold_return`: of buying at the
    first close and holding to the last.
    """

    first: int
    stop: int
    cash: float
    day_ends: IntArray
    periods: float
    microseconds: int
    hold_return: float

    def room(self, trades: int) -> int:
        """Answer how long an array `measure` needs to work in."""
        return max(2 * len(self.day_ends), trades + 1) + ROOM


def span_of(
    bars: Bars, days: IntArray, cash: float, *, first: int = 0, stop: int | None = None
) -> Span:
    """Answer what the numbers of every run over bars [first, stop) read.

    `days`: int64[n], the session day of every bar.
    """
    stop = len(bars) if stop is None else stop
    ends = session_ends(days[first:stop])
    return Span(
        first=first,
        stop=stop,
        cash=cash,
        day_ends=ends,
        periods=periods_per_year(days[first:stop][ends], bars.timeframe),
        microseconds=int(bars.stamps[stop - 1] - bars.stamps[first]),
        hold_return=float(bars.close[stop - 1] / bars.close[first] - 1.0),
    )


@compiled
def measure(
    stop: int,
    cash: float,
    periods: float,
    microseconds: int,
    day_ends: IntArray,
    market: Market,
    books: Books,
    rules_row: RecordArray,
    state_row: RecordArray,
    work: FloatArray,
    numbers_row: RecordArray,
) -> None:
    """Write the numbers of a run that has traded the bars before `stop`, which are not none."""
    numbers = numbers_row[0]
    state = state_row[0]
    first = rules_row[0].first
    count = books.written[0].trades
    equity = books.equity[: stop - first]
    numbers.final_equity = equity[len(equity) - 1]
    numbers.total_return = numbers.final_equity / cash - 1.0
    numbers.cagr = math.nan
    if numbers.final_equity > 0.0 and microseconds > 0:
        numbers.cagr = growth(cash, numbers.final_equity, microseconds)
    numbers.open_trades = int(state.quantity != 0.0)
    numbers.rejected = books.written[0].rejections
    numbers.ruined = state.ruined
    held = bars_in_market(books.trades, count, state.entry_bar, first, stop)
    numbers.exposure = held / len(equity)
    measure_trades(books.trades, count, market.stamps, state, work, numbers)
    measure_days(equity, day_ends, cash, periods, work, numbers)
    measure_drawdowns(equity, market.stamps[first:stop], cash, numbers)


@compiled
def sum_of(values: FloatArray) -> float:
    """Answer the sum, first to last, each addition rounded."""
    total = 0.0
    for k in range(len(values)):
        total += values[k]
    return total


@compiled
def sum_curves(curves: FloatArray, sums: FloatArray) -> None:
    """Write the same sums of four curves, float64[4, m]: side by side they take the time of one."""
    a, b, c, d = curves[0], curves[1], curves[2], curves[3]
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    for t in range(len(a)):
        first += a[t]
        second += b[t]
        third += c[t]
        fourth += d[t]
    sums[0], sums[1], sums[2], sums[3] = first, second, third, fourth


def measure_run(simulation: Simulation, span: Span, work: FloatArray, numbers: RecordArray) -> None:
    """Write the numbers of a finished run; `work`: `span.room` of its trades, or more."""
    measure(
        span.stop,
        span.cash,
        span.periods,
        span.microseconds,
        span.day_ends,
        simulation.market,
        simulation.books,
        simulation.rules,
        simulation.state,
        work,
        numbers,
    )


def summarise(simulation: Simulation, span: Span) -> dict[str, Any]:
    """Answer the numbers of a finished run by name, undefined ones as None."""
    numbers: RecordArray = np.zeros(1, NUMBERS)
    measure_run(simulation, span, np.empty(span.room(len(simulation.trades))), numbers)
    return summary_of(numbers, sum_of(simulation.equity), span)


def summary_of(numbers: RecordArray, equity_sum: float, span: Span) -> dict[str, Any]:
    """Answer what `measure` wrote as the document's summary, undefined ones as None.

    Fractions are not percents; money is in the symbol's currency, durations name their unit.
    `verdict` stands beside the Sharpe: `untested` until the luck statistics have run.
    """
    summary: dict[str, Any] = dict.fromkeys(_ORDER)
    found = zip(NUMBERS.names or (), numbers[0].item(), strict=True)
    summary |= {name: None if value - value else value for name, value in found}
    bars, mean_equity = span.stop - span.first, equity_sum / (span.stop - span.first)
    traded = summary.pop("traded")
    grew = summary["cagr"]
    if grew is None:
        grew = cagr(span.cash, summary["final_equity"], span.microseconds)
    fell = grew is not None and summary["max_drawdown"]
    return summary | {
        "cagr": grew,
        "verdict": UNTESTED,
        "calmar": grew / summary["max_drawdown"] if fell else None,
        "turnover": traded / mean_equity if mean_equity else None,
        "buy_and_hold_return": span.hold_return,
        "bars": bars,
        "days": len(span.day_ends),
        "periods_per_year": span.periods,
        "ruined": bool(summary["ruined"]),
    }
