import numpy as np
import pytest

from core.trading.backtest.drawdowns import measure_drawdowns
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY
from tests.core.trading.backtest.test_daily import equity, series


def days(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64) * MICROSECONDS_PER_DAY


def test_the_deepest_fall_agrees_with_quantstats_0_0_86() -> None:
    curve = equity(series())
    found = measure_drawdowns(curve, days(len(curve)), 10_000.0)
    assert found.deepest == pytest.approx(0.18971543039589012, rel=1e-12)


def test_a_duration_runs_from_the_peak_to_the_recovery() -> None:
    curve = np.array([100.0, 80.0, 90.0, 100.0, 99.0, 98.0, 99.0, 99.5, 101.0])
    found = measure_drawdowns(curve, days(len(curve)), 100.0)
    assert found.deepest == pytest.approx(0.2)
    assert found.deepest_days == 3.0
    assert found.longest_days == 5.0


def test_a_fall_that_does_not_recover_lasts_to_the_end() -> None:
    found = measure_drawdowns(np.array([90.0, 80.0, 85.0]), days(3), 100.0)
    assert found.deepest == pytest.approx(0.2)
    assert found.deepest_days == found.longest_days == 2.0


def test_a_rise_has_no_drawdown() -> None:
    found = measure_drawdowns(np.array([100.0, 101.0]), days(2), 100.0)
    assert (found.deepest, found.deepest_days, found.mean_equity) == (0.0, 0.0, 100.5)
