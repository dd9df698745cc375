"""Numbers of the daily equity: returns, volatility, Sharpe, Sortino, CAGR.

Same inputs, same bits on every machine: sums are math.fsum (exactly rounded), roots are IEEE's,
and the one power is taken in decimal arithmetic, whose ln and exp are correctly rounded, because
libm's pow differs between CPUs; it squares otherwise than a product, too.
"""

import math
from collections.abc import Sequence
from decimal import Context, Decimal

import numpy as np

from core.trading.bars.series import FloatArray, IntArray
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY

_DAYS_PER_YEAR = Decimal("365.25")
_EXACT = Context(prec=40)


def daily_equity(equity: FloatArray, days: IntArray) -> tuple[FloatArray, IntArray]:
    """Answer the last equity of each session day, and the days; both as long as there are days."""
    last = np.flatnonzero(np.append(days[1:] != days[:-1], True))
    return equity[last], days[last]


def daily_returns(daily: FloatArray, cash: float) -> list[float]:
    """Answer the simple returns from day to day, the first from the starting cash.

    After a day that ended with nothing, or less, returns mean nothing and are 0.
    """
    before = np.concatenate(([cash], daily[:-1]))
    alive = before > 0.0
    returns = np.zeros(len(daily))
    returns[alive] = daily[alive] / before[alive] - 1.0
    answer: list[float] = returns.tolist()
    return answer


def mean(values: Sequence[float]) -> float | None:
    """Answer the mean, None of nothing."""
    return math.fsum(values) / len(values) if values else None


def deviation(values: Sequence[float]) -> float | None:
    """Answer the standard deviation with ddof 1, None of fewer than two values."""
    centre = mean(values)
    if centre is None or len(values) == 1:
        return None
    return math.sqrt(math.fsum((x - centre) * (x - centre) for x in values) / (len(values) - 1))


def volatility(returns: Sequence[float], periods: float) -> float | None:
    """Answer the annual volatility: ddof 1 times the root of the periods (quantstats)."""
    spread = deviation(returns)
    return None if spread is None else spread * math.sqrt(periods)


def sharpe(returns: Sequence[float], periods: float) -> float | None:
    """Answer mean / deviation, annual, with a risk-free rate of 0 (quantstats `sharpe`)."""
    centre, spread = mean(returns), deviation(returns)
    if centre is None or not spread:
        return None
    return centre / spread * math.sqrt(periods)


def sortino(returns: Sequence[float], periods: float) -> float | None:
    """Answer mean / root of the mean square of the losses, annual (quantstats `sortino`)."""
    centre = mean(returns)
    if centre is None:
        return None
    downside = math.sqrt(math.fsum(min(x, 0.0) * min(x, 0.0) for x in returns) / len(returns))
    return centre / downside * math.sqrt(periods) if downside else None


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
