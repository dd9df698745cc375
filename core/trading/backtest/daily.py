"""Numbers of the daily equity: returns, volatility, Sharpe, Sortino, CAGR.

Same inputs, same bits on every machine: sums are exactly rounded, roots are IEEE's, and the one
power is taken in decimal arithmetic, whose ln and exp are correctly rounded, because libm's pow
differs between CPUs; even a square by it does, so squares are products.
"""

import math
from decimal import Context, Decimal

import numpy as np

from core.trading.backtest.exact_sums import exact_sum
from core.trading.backtest.jit import compiled
from core.trading.backtest.run_numbers import Numbers
from core.trading.bars.series import FloatArray, IntArray
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY

_NAN = float("nan")
_DAYS_PER_YEAR = Decimal("365.25")
_EXACT = Context(prec=40)


def session_ends(days: IntArray) -> IntArray:
    """Answer int64[d]: the last bar of each session day. `days`: int64[m], never falling."""
    ends: IntArray = np.flatnonzero(np.append(days[1:] != days[:-1], True))
    return ends


@compiled
def measure_days(
    equity: FloatArray,
    ends: IntArray,
    cash: float,
    periods: float,
    work: FloatArray,
    numbers: Numbers,
) -> None:
    """Write volatility (ddof 1), Sharpe (risk-free rate 0) and Sortino, annual, as quantstats.

    Simple returns from day to day, the first from the starting cash. After a day that ended with
    nothing, or less, returns mean nothing and are 0. `ends`: int64[d], the last bar of each day.
    `periods`: days a year. `work`: float64, at least 2 * d + `exact_sums.ROOM`.
    """
    count = len(ends)
    before = cash
    for k in range(count):
        value = equity[ends[k]]
        work[k] = value / before - 1.0 if before > 0.0 else 0.0
        before = value
    year = math.sqrt(periods)
    squares = work[count:]
    for k in range(count):
        squares[k] = min(work[k], 0.0) * min(work[k], 0.0)
    downside = math.sqrt(exact_sum(squares, count) / count) if count else 0.0
    for k in range(count):
        squares[k] = work[k]
    mean = exact_sum(squares, count) / count if count else _NAN
    spread = deviation(work, count, mean)
    numbers.volatility = spread * year
    numbers.sharpe = mean / spread * year if spread > 0.0 else _NAN
    numbers.sortino = mean / downside * year if downside > 0.0 else _NAN


@compiled
def deviation(values: FloatArray, count: int, mean: float) -> float:
    """Answer the standard deviation with ddof 1 of the first values, NaN of fewer than two.

    Writes over `values`, which have `exact_sums.ROOM` behind them.
    """
    if count <= 1:
        return _NAN
    for k in range(count):
        values[k] = (values[k] - mean) * (values[k] - mean)
    return math.sqrt(exact_sum(values, count) / (count - 1))


def cagr(start: float, final: float, microseconds: int) -> float | None:
    """Answer the compound annual growth over calendar time (backtesting.py `CAGR [%]`).

    None where no time has passed or nothing is left to take a root of.
    """
    if microseconds <= 0 or final < 0.0:
        return None
    if final == 0.0:
        return -1.0
    years = _EXACT.divide(
        _EXACT.divide(Decimal(microseconds), Decimal(MICROSECONDS_PER_DAY)), _DAYS_PER_YEAR
    )
    growth = _EXACT.ln(_EXACT.divide(Decimal(final), Decimal(start)))
    grown = _EXACT.subtract(_EXACT.exp(_EXACT.divide(growth, years)), Decimal(1))
    answer = float(grown)
    return answer if math.isfinite(answer) else None
