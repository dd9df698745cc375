import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trading.backtest.drawdowns import extremes, measure_drawdowns
from core.trading.backtest.run_numbers import NUMBERS
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY
from tests.core.trading.backtest.test_daily import equity, series


def days(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64) * MICROSECONDS_PER_DAY


def measured(curve: np.ndarray, cash: float) -> tuple[float, float, float]:
    """Answer the deepest fall, its days, and the longest days."""
    found = np.zeros(1, NUMBERS)
    measure_drawdowns(curve, days(len(curve)), cash, found[0])
    names = ("max_drawdown", "max_drawdown_days", "longest_drawdown_days")
    deepest, deepest_days, longest_days = (float(found[name][0]) for name in names)
    return deepest, deepest_days, longest_days


def test_the_deepest_fall_agrees_with_quantstats_0_0_86() -> None:
    deepest, _, _ = measured(equity(series()), 10_000.0)
    assert deepest == pytest.approx(0.18971543039589012, rel=1e-12)


def test_a_duration_runs_from_the_peak_to_the_recovery() -> None:
    curve = np.array([100.0, 80.0, 90.0, 100.0, 99.0, 98.0, 99.0, 99.5, 101.0])
    assert measured(curve, 100.0) == (pytest.approx(0.2), 3.0, 5.0)


def test_a_fall_that_does_not_recover_lasts_to_the_end() -> None:
    assert measured(np.array([90.0, 80.0, 85.0]), 100.0) == (pytest.approx(0.2), 2.0, 2.0)


def test_a_rise_has_no_drawdown() -> None:
    assert measured(np.array([100.0, 101.0]), 100.0) == (0.0, 0.0, 0.0)


def by_hand(curve: list[float], cash: float) -> tuple[float, float, float]:
    """Answer the same bar by bar."""
    peak, since, depth, deepest, deepest_days, longest = cash, 0, 0.0, 0.0, 0, 0
    for t, value in enumerate(curve):
        depth = max(depth, (peak - value) / peak)
        if depth > 0.0 and (value >= peak or t == len(curve) - 1):
            longest = max(longest, t - since)
            if depth > deepest:
                deepest, deepest_days = depth, t - since
        if value >= peak:
            peak, since, depth = value, t, 0.0
    return deepest, float(deepest_days), float(longest)


@given(st.lists(st.sampled_from([0.0, 1e-3, -1e-3, 0.02, -0.02, -0.3]), min_size=1, max_size=400))
def test_skipping_blocks_below_the_peak_changes_nothing(changes: list[float]) -> None:
    curve = 100.0 * np.cumprod(1.0 + np.array(changes))
    assert measured(curve, 100.0) == by_hand(curve.tolist(), 100.0)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=70))
def test_extremes_are_the_lowest_and_the_highest(values: list[float]) -> None:
    assert extremes(np.array(values)) == (min(values), max(values))
