import numpy as np

from core.trading.backtest.series import read_series, series_hash, write_series


def test_stored_columns_come_back_bit_for_bit_and_hash_the_same() -> None:
    columns = {"stamp": np.arange(3), "equity": np.array([1.0, 2.5, np.pi])}
    data = write_series(columns)
    assert data == write_series(columns)
    back = read_series(data)
    assert list(back) == ["stamp", "equity"]
    assert back["equity"].tobytes() == columns["equity"].tobytes()
    assert series_hash(data) != series_hash(write_series(columns | {"stamp": np.arange(1, 4)}))
