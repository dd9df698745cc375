import numpy as np

from tests.core.trading.backtest.worked import asks, entered, flat, lived, market, percent, told


def test_a_position_is_flat_at_the_sessions_closing_bar() -> None:
    bars = market(*flat(100, 2), (100, 104, 100, 103), *flat(105, 2))
    close = np.array([0, 0, 1, 0, 0], dtype=np.int8)
    start = np.array([1, 0, 0, 1, 0], dtype=np.int8)
    signals = asks(bars, long=[0], session_close=close, session_start=start, flat_at_close=True)
    assert told(lived(signals, bars)) == [(1, 2, 1, 100, 103, "session_close")]


def test_a_missing_closing_bar_closes_at_the_next_open() -> None:
    bars = market(*flat(100, 2), (100, 104, 100, 103), *flat(105, 2))
    start = np.array([1, 0, 0, 1, 0], dtype=np.int8)
    signals = asks(bars, long=[0], session_start=start, flat_at_close=True)
    assert told(lived(signals, bars)) == [(1, 3, 1, 100, 105, "session_close")]


def test_an_open_position_stays_open_at_the_end_marked_at_the_last_close() -> None:
    bars = market(*flat(100, 2), (100, 104, 100, 103))
    simulation = lived(asks(bars, long=[0]), bars)
    assert told(simulation) == []
    assert entered(simulation) == (10, 100)
    assert simulation.equity[-1] == 1030


def test_a_run_may_close_what_is_open_at_the_last_close() -> None:
    bars = market(*flat(100, 2), (100, 104, 100, 103))
    simulation = lived(asks(bars, long=[0]), bars, close_at_end=True, slippage_bps=100)
    assert told(simulation) == [(1, 2, 1, 101, 103 * 0.99, "end")]
    assert simulation.equity[-1] == simulation.state["cash"][0]


def test_a_bar_without_volume_fills() -> None:
    bars = market(*flat(100, 3))
    bars.volume[:] = 0.0
    assert entered(lived(asks(bars, long=[0]), bars))[0] == 10


def test_an_order_at_the_open_comes_before_a_level_inside_the_bar() -> None:
    bars = market(*flat(100, 3), (99, 99, 90, 90), *flat(90, 1))
    simulation = lived(asks(bars, long=[0], sell=[2], stop=percent(5)), bars)
    assert told(simulation) == [(1, 3, 1, 100, 99, "signal")]


def test_exits_at_the_open_come_before_entries_and_free_their_cash() -> None:
    bars = market(*flat(100, 3), *flat(50, 2))
    simulation = lived(asks(bars, long=[0], sell=[], short=[2], cover=[]), bars)
    assert told(simulation) == [(1, 3, 1, 100, 50, "reverse")]
    assert entered(simulation) == (-10, 50)
