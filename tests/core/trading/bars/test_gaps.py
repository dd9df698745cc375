import numpy as np
import pytest

from core.trading.bars.gaps import find_gaps
from core.trading.bars.series import Bars
from core.trading.bars.timeframes import Timeframe
from tests.core.trading.bars.builders import some_bars, utc


def bars_at(closes: np.ndarray, timeframe: Timeframe) -> Bars:
    return some_bars(closes.astype("datetime64[us]").astype(np.int64), timeframe=timeframe)


def weekdays(first: str, last: str) -> np.ndarray:
    days = np.arange(first, last, dtype="datetime64[D]")
    return days[np.is_busday(days)] + np.timedelta64(1, "D")


def trading_hours(weeks: int = 12) -> np.ndarray:
    """Hours that close 10:00 to 16:00 of New York's winter, lunch at 13:00, Monday to Friday."""
    days = weekdays("2024-01-01", str(np.datetime64("2024-01-01") + 7 * weeks)) - 1
    hours = np.array([15, 16, 17, 19, 20, 21]) * np.timedelta64(1, "h")
    return (days.astype("datetime64[h]")[:, None] + hours).ravel()


def test_weekends_nights_and_lunch_are_no_gaps() -> None:
    found = find_gaps(bars_at(trading_hours(), Timeframe.H1))
    assert found.learnt
    assert found.gaps == ()


@pytest.mark.parametrize("missing", [[100], [100, 101], [200, 201, 202, 203]])
def test_missing_bars_of_a_session_are_a_gap(missing: list[int]) -> None:
    closes = np.delete(trading_hours(), missing)
    (gap,) = find_gaps(bars_at(closes, Timeframe.H1)).gaps
    assert (gap.after, gap.missing) == (missing[0] - 1, len(missing))


def test_a_missing_session_is_a_gap_of_its_bars() -> None:
    (gap,) = find_gaps(bars_at(np.delete(trading_hours(), range(60, 66)), Timeframe.H1)).gaps
    assert (gap.after, gap.missing) == (59, 6)


def test_hours_that_daylight_saving_moves_are_no_gaps() -> None:
    closes = trading_hours(24)
    summer = closes >= np.datetime64("2024-03-10")
    moved = np.where(summer, closes - np.timedelta64(1, "h"), closes)
    assert find_gaps(bars_at(moved, Timeframe.H1)).gaps == ()


def test_a_market_that_never_closes_has_a_gap_wherever_a_bar_is_missing() -> None:
    closes = np.arange("2024-01-01", "2024-02-15", dtype="datetime64[m]")[1:]
    assert find_gaps(bars_at(closes, Timeframe.M1)).gaps == ()
    (gap,) = find_gaps(bars_at(np.delete(closes, [30_000]), Timeframe.M1)).gaps
    assert (gap.after, gap.missing) == (29_999, 1)


def test_one_or_two_missing_days_are_holidays_and_three_a_gap() -> None:
    days = weekdays("2024-01-01", "2024-06-01")
    one_two_three = np.delete(days, [30, 50, 51, 70, 71, 72])
    found = find_gaps(bars_at(one_two_three, Timeframe.D1))
    assert found.holidays == 2
    assert [gap.missing for gap in found.gaps] == [3]


def test_a_missing_week_is_a_gap() -> None:
    weeks = np.arange("2024-01-08", "2024-06-01", 7, dtype="datetime64[D]")
    assert find_gaps(bars_at(weeks, Timeframe.W1)).gaps == ()
    (gap,) = find_gaps(bars_at(np.delete(weeks, [9]), Timeframe.W1)).gaps
    assert (gap.after, gap.missing) == (8, 1)


def test_no_rhythm_is_learnt_from_less_than_three_weeks() -> None:
    closes = trading_hours(2)
    found = find_gaps(bars_at(np.delete(closes, [20]), Timeframe.H1))
    assert not found.learnt
    assert found.gaps == ()


def test_one_bar_has_no_gaps() -> None:
    assert not find_gaps(some_bars(np.array([utc("2024-01-01")]))).gaps
