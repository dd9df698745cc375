import math

import numpy as np
import pytest

from core.trading.backtest.records import TRADE
from core.trading.backtest.trade_statistics import (
    bars_in_market,
    trade_statistics,
    traded_value,
)
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY

STAMPS = np.arange(20, dtype=np.int64) * MICROSECONDS_PER_DAY


def trades(*rows: tuple[int, int, float]) -> np.ndarray:
    table = np.zeros(len(rows), dtype=TRADE)
    for at, (entry, leaving, pnl) in enumerate(rows):
        table[at]["entry_bar"], table[at]["exit_bar"], table[at]["pnl"] = entry, leaving, pnl
    return table


def test_the_statistics_of_four_trades_by_hand() -> None:
    found = trade_statistics(trades((1, 3, 30), (3, 4, -10), (6, 10, -5), (12, 13, 0)), STAMPS)
    deviation = math.sqrt(sum((x - 3.75) ** 2 for x in (30, -10, -5, 0)) / 3)
    assert found == {
        "trades": 4,
        "win_rate": 0.25,
        "profit_factor": 2.0,
        "expectancy": 3.75,
        "average_win": 30.0,
        "average_loss": -7.5,
        "payoff": 4.0,
        "best_trade": 30.0,
        "worst_trade": -10.0,
        "max_consecutive_wins": 1,
        "max_consecutive_losses": 2,
        "average_trade_bars": 2.0,
        "average_trade_days": 2.0,
        "sqn": pytest.approx(2 * 3.75 / deviation),
    }


def test_without_trades_everything_but_counts_is_undefined() -> None:
    found = trade_statistics(trades(), STAMPS)
    counts = {"trades", "max_consecutive_wins", "max_consecutive_losses"}
    assert {name for name, value in found.items() if value is not None} == counts


def test_a_bar_shared_by_two_trades_counts_once() -> None:
    table = trades((1, 3, 0), (3, 4, 0), (6, 6, 0))
    assert bars_in_market(table, -1, 0, 20) == 5
    assert bars_in_market(table, 18, 0, 20) == 7


def test_both_legs_of_a_trade_are_traded_value() -> None:
    table = trades((1, 3, 0))
    table["quantity"], table["entry_price"], table["exit_price"] = 2, 10, 12
    assert traded_value(table, 7.0) == 51.0
