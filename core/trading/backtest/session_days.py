"""Session days: which are Saturdays, and so how many trading days a year has."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.trading.bars.series import IntArray
from core.trading.bars.timeframes import Timeframe

DAYS_PER_YEAR = 365.0
TRADING_DAYS_PER_YEAR = 252.0
WEEKS_PER_YEAR = 52.0
_DAYS_PER_WEEK = 7
_TO_SUNDAY_WEEKS = 5  # epoch day 2 was the first Saturday: shifted by 5, weeks end with it


def is_saturday(days: IntArray) -> NDArray[np.bool_]:
    """Answer which of the days (since the epoch) are Saturdays."""
    saturdays: NDArray[np.bool_] = (days + _TO_SUNDAY_WEEKS) % _DAYS_PER_WEEK == 0
    return saturdays


def saturdays_between(first: Any, last: IntArray) -> IntArray:
    """Answer how many Saturdays lie in [first, last], both in days since the epoch."""
    through_last = (last + _TO_SUNDAY_WEEKS) // _DAYS_PER_WEEK
    answer: IntArray = through_last - (first - 1 + _TO_SUNDAY_WEEKS) // _DAYS_PER_WEEK
    return answer


def periods_per_year(days: IntArray, timeframe: Timeframe) -> float:
    """Answer A: 365 if at least half of the Saturdays have bars, else 252; weekly bars 52.

    `days`: int64[n], distinct session days with bars, oldest first.
    """
    if timeframe is Timeframe.W1:
        return WEEKS_PER_YEAR
    saturdays = int(saturdays_between(days[0], days[-1:])[0]) if len(days) else 0
    traded = int(np.count_nonzero(is_saturday(days)))
    return DAYS_PER_YEAR if saturdays and 2 * traded >= saturdays else TRADING_DAYS_PER_YEAR
