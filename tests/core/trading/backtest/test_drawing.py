import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trading.backtest.drawing import downsample, running_drawdown, thinned


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300), st.integers(4, 80))
def test_a_thinned_series_keeps_ends_lowest_and_highest(values: list[float], points: int) -> None:
    series = np.array(values)
    kept = downsample(series, points)
    assert len(kept) <= max(points, 1)
    assert np.all(np.diff(kept) > 0)
    assert kept[0] == 0
    assert kept[-1] == len(series) - 1
    assert series[kept].min() == series.min()
    assert series[kept].max() == series.max()


def test_the_running_drawdown_is_measured_from_the_peak_or_the_starting_cash() -> None:
    fall = running_drawdown(np.array([90.0, 120.0, 60.0]), 100.0)
    assert fall.tolist() == pytest.approx([-0.1, 0.0, -0.5])


def test_columns_are_thinned_at_the_same_places_and_keep_each_ones_extremes() -> None:
    columns = {
        "time": [str(day) for day in range(1_000)],
        "equity": [float(day % 37) for day in range(1_000)],
        "drawdown": [-1.0 if day == 501 else 0.0 for day in range(1_000)],
    }
    drawn = thinned(columns, 40)
    assert len(drawn["time"]) == len(drawn["equity"]) == len(drawn["drawdown"]) <= 44
    assert drawn["time"][drawn["drawdown"].index(-1.0)] == "501"
    assert max(drawn["equity"]) == 36.0
