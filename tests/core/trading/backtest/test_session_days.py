from datetime import date, timedelta

import numpy as np
import pytest

from core.trading.backtest.session_days import periods_per_year, saturdays_between
from core.trading.bars.timeframes import Timeframe

MONDAY = (date(2024, 1, 1) - date(1970, 1, 1)).days


def test_saturdays_are_counted_as_the_calendar_has_them() -> None:
    for first in range(8):
        for last in range(first, 30):
            days = [date(1970, 1, 1) + timedelta(day) for day in range(first, last + 1)]
            expected = sum(day.weekday() == 5 for day in days)
            assert saturdays_between(first, np.array([last]))[0] == expected


@pytest.mark.parametrize(
    ("days", "timeframe", "expected"),
    [
        ([MONDAY + d for d in range(28)], Timeframe.D1, 365),
        ([MONDAY + d for d in range(28) if d % 7 < 5], Timeframe.D1, 252),
        ([MONDAY + d for d in range(28) if d % 7 < 5 or d in (5, 12)], Timeframe.H1, 365),
        ([MONDAY + d for d in range(28) if d % 7 < 5 or d == 5], Timeframe.H1, 252),
        ([MONDAY + d for d in range(0, 70, 7)], Timeframe.W1, 52),
        ([MONDAY], Timeframe.D1, 252),
    ],
)
def test_a_year_has_365_days_once_half_of_the_saturdays_trade(
    days: list[int], timeframe: Timeframe, expected: float
) -> None:
    assert periods_per_year(np.array(days), timeframe) == expected
