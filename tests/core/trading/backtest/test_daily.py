import math
import statistics

import numpy as np
import pytest

from core.trading.backtest.daily import cagr, measure_days, session_ends
from core.trading.backtest.exact_sums import ROOM
from core.trading.backtest.run_numbers import NUMBERS
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY


def series() -> list[float]:
    """300 daily returns from a linear congruential generator."""
    seed, returns = 1, []
    for _ in range(300):
        seed = (seed * 1103515245 + 12345) % 2**31
        returns.append(((seed >> 16) % 2001 - 980) / 50000)
    return returns


def equity(returns: list[float], cash: float = 10_000.0) -> np.ndarray:
    values = []
    for change in returns:
        cash *= 1 + change
        values.append(cash)
    return np.array(values)


def measured(returns: list[float], periods: float) -> np.void:
    """Measure an equity of one bar a day that makes these returns."""
    return measured_equity(equity(returns, 1.0), periods, cash=1.0)


def measured_equity(curve: np.ndarray, periods: float, *, cash: float) -> np.void:
    found = np.zeros(1, NUMBERS)
    ends = np.arange(len(curve))
    measure_days(curve, ends, cash, periods, np.empty(2 * len(curve) + ROOM), found[0])
    return found[0]


def test_ratios_agree_with_quantstats_0_0_86() -> None:
    found = measured_equity(equity(series()), 252, cash=10_000.0)
    assert found["sharpe"] == pytest.approx(0.9683775122176357, rel=1e-12)
    assert found["sortino"] == pytest.approx(1.416587469755218, rel=1e-12)
    assert found["volatility"] == pytest.approx(0.18877018279924448, rel=1e-12)


def test_cagr_is_backtesting_pys_over_365_25_calendar_days() -> None:
    days = 419
    grown = cagr(10_000.0, 12170.308024074004, days * MICROSECONDS_PER_DAY)
    assert grown == pytest.approx(0.186749196315513, rel=1e-12)


def test_cagr_is_undefined_without_time_or_with_debt_and_total_at_nothing_left() -> None:
    assert cagr(100.0, 110.0, 0) is None
    assert cagr(100.0, -1.0, MICROSECONDS_PER_DAY) is None
    assert cagr(100.0, 0.0, MICROSECONDS_PER_DAY) == -1.0


def test_a_session_day_ends_with_its_last_bar() -> None:
    assert session_ends(np.array([7, 7, 8, 8])).tolist() == [1, 3]


def test_the_first_return_is_from_the_starting_cash_and_none_follows_ruin() -> None:
    found = measured_equity(np.array([110.0, 0.0, -5.0]), 1, cash=100.0)
    assert found["volatility"] == pytest.approx(statistics.stdev([0.1, -1.0, 0.0]))


def test_what_is_undefined_is_unknown() -> None:
    assert np.isnan(measured([0.5], 252)["sharpe"])
    assert np.isnan(measured([0.5], 252)["volatility"])
    assert np.isnan(measured([0.0, 0.0], 252)["sharpe"])
    assert np.isnan(measured([0.5, 0.25], 252)["sortino"])


def test_a_loss_is_squared_as_a_product_which_every_cpu_rounds_alike() -> None:
    """By libm's pow the root would be 0.35351306199347143 on the CPU this was found on."""
    curve = np.array([1.0 - 0.3176, (1.0 - 0.3176) * (1.0 - 0.3861)])
    first, second = curve[0] - 1.0, curve[1] / curve[0] - 1.0
    root = math.sqrt((first * first + second * second) / 2)
    assert measured_equity(curve, 1, cash=1.0)["sortino"] == (first + second) / 2 / root
