import math

import numpy as np
import pytest

from core.trading.backtest.exact_sums import ROOM
from core.trading.backtest.records import STATE, TRADE
from core.trading.backtest.run_numbers import NUMBERS
from core.trading.backtest.trade_statistics import bars_in_market, measure_trades
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY

STAMPS = np.arange(20, dtype=np.int64) * MICROSECONDS_PER_DAY


def trades(*rows: tuple[int, int, float]) -> np.ndarray:
    table = np.zeros(len(rows), dtype=TRADE)
    for at, (entry, leaving, pnl) in enumerate(rows):
        table[at]["entry_bar"], table[at]["exit_bar"], table[at]["pnl"] = entry, leaving, pnl
    return table


def measured(table: np.ndarray, **state: float) -> dict[str, float]:
    """Answer what is known of the trades, by name."""
    found, last = np.zeros(1, NUMBERS), np.zeros(1, STATE)
    for name, value in state.items():
        last[name] = value
    measure_trades(table, len(table), STAMPS, last[0], np.empty(len(table) + 1 + ROOM), found[0])
    names = NUMBERS.names[NUMBERS.names.index("trades") :]
    values = {name: found[name][0].item() for name in (*names, "fees", "traded")}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def test_the_statistics_of_four_trades_by_hand() -> None:
    found = measured(trades((1, 3, 30), (3, 4, -10), (6, 10, -5), (12, 13, 0)))
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
        "fees": 0.0,
        "traded": 0.0,
    }


def test_without_trades_everything_but_counts_and_sums_is_undefined() -> None:
    counts = {"trades", "max_consecutive_wins", "max_consecutive_losses"}
    assert set(measured(trades())) == counts | {"fees", "traded"}


def test_losses_alone_have_a_profit_factor_of_nothing_and_no_payoff() -> None:
    found = measured(trades((1, 3, -4), (5, 6, -2)))
    assert found["profit_factor"] == 0.0
    assert found.keys().isdisjoint({"average_win", "payoff"})


def test_a_bar_shared_by_two_trades_counts_once() -> None:
    table = trades((1, 3, 0), (3, 4, 0), (6, 6, 0))
    assert bars_in_market(table, 3, -1, 0, 20) == 5
    assert bars_in_market(table, 3, 18, 0, 20) == 7


def test_both_legs_of_a_trade_and_what_is_open_are_traded_value() -> None:
    table = trades((1, 3, 0))
    table["quantity"], table["entry_price"], table["exit_price"], table["fees"] = 2, 10, 12, 0.5
    found = measured(table, quantity=-1, entry_price=7, fees=0.25)
    assert (found["traded"], found["fees"]) == (51.0, 0.75)
