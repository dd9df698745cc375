import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trading.backtest.series import (
    downsample,
    read_series,
    running_drawdown,
    series_hash,
    write_series,
)


def test_stored_columns_come_back_bit_for_bit_and_hash_the_same() -> None:
    columns = {"stamp": np.arange(3), "equity": np.array([1.0, 2.5, np.pi])}
    data = write_series(columns)
    assert data == write_series(columns)
    back = read_series(data)
    assert list(back) == ["stamp", "equity"]
    assert back["equity"].tobytes() == columns["equity"].tobytes()
    assert series_hash(data) != series_hash(write_series(columns | {"stamp": np.arange(1, 4)}))


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
