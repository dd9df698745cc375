import math

import numpy as np
import pytest

from core.trading.backtest.daily import (
    cagr,
    daily_equity,
    daily_returns,
    sharpe,
    sortino,
    volatility,
)
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


def test_ratios_agree_with_quantstats_0_0_86() -> None:
    returns = daily_returns(equity(series()), 10_000.0)
    assert sharpe(returns, 252) == pytest.approx(0.9683775122176357, rel=1e-12)
    assert sortino(returns, 252) == pytest.approx(1.416587469755218, rel=1e-12)
    assert volatility(returns, 252) == pytest.approx(0.18877018279924448, rel=1e-12)


def test_cagr_is_backtesting_pys_over_365_25_calendar_days() -> None:
    days = 419
    grown = cagr(10_000.0, 12170.308024074004, days * MICROSECONDS_PER_DAY)
    assert grown == pytest.approx(0.186749196315513, rel=1e-12)


def test_cagr_is_undefined_without_time_or_with_debt_and_total_at_nothing_left() -> None:
    assert cagr(100.0, 110.0, 0) is None
    assert cagr(100.0, -1.0, MICROSECONDS_PER_DAY) is None
    assert cagr(100.0, 0.0, MICROSECONDS_PER_DAY) == -1.0


def test_a_session_day_ends_with_its_last_bar() -> None:
    values, days = daily_equity(np.array([1.0, 2.0, 3.0, 4.0]), np.array([7, 7, 8, 8]))
    assert values.tolist() == [2.0, 4.0]
    assert days.tolist() == [7, 8]


def test_the_first_return_is_from_the_starting_cash_and_none_follows_ruin() -> None:
    assert daily_returns(np.array([110.0, 0.0, -5.0]), 100.0) == pytest.approx([0.1, -1.0, 0.0])


def test_what_is_undefined_is_none() -> None:
    assert sharpe([], 252) is None
    assert sharpe([0.01], 252) is None
    assert sharpe([0.0, 0.0], 252) is None
    assert sortino([0.01, 0.02], 252) is None
    assert volatility([], 252) is None


def test_a_loss_is_squared_as_a_product_which_every_cpu_rounds_alike() -> None:
    """By libm's pow it would be 0.35351306199347143 on the CPU this was found on."""
    root = math.sqrt((0.3176 * 0.3176 + 0.3861 * 0.3861) / 2)
    assert sortino([-0.3176, -0.3861], 1) == (-0.3176 - 0.3861) / 2 / root
