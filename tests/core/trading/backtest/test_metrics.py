"""Two trades worked out by hand: 100 units from 10 to 12, then all cash from 13 to 6.5."""

import math
import statistics

import numpy as np
import pytest

from core.trading.backtest.metrics import span_of, summarise
from core.trading.backtest.run import simulate
from core.trading.backtest.settings import Costs, Settings
from core.trading.strategy.compiling import compile_signals
from core.trading.strategy.frame import Frame
from core.trading.strategy.reading import read_strategy
from tests.core.trading.backtest.plain_summary import plain_summary
from tests.core.trading.backtest.worked import asks, flat, lived, market
from tests.laws.strategies import ALL, hourly_bars

COSTLY = Settings(lot=1, costs=Costs(commission_bps=5, minimum=1, borrow_apr=2), close_at_end=True)
RUINOUS = Settings(cash=3.0, costs=Costs(commission_bps=300))

ROWS = [
    *flat(10, 2),
    (10, 12, 10, 12),
    (12, 13, 11, 13),
    *flat(13, 2),
    (13, 13, 6.5, 6.5),
    (6.5, 6.5, 6.5, 6.5),
]
EQUITY = [1000, 1000, 1200, 1200, 1200, 1200, 600, 600]
RETURNS = [0, 0, 0.2, 0, 0, 0, -0.5, 0]
YEAR = math.sqrt(365)

SUMMARY = {
    "final_equity": 600,
    "total_return": -0.4,
    "cagr": 0.6 ** (365.25 / 7) - 1,
    "volatility": statistics.stdev(RETURNS) * YEAR,
    "sharpe": statistics.mean(RETURNS) / statistics.stdev(RETURNS) * YEAR,
    "verdict": "untested",
    "sortino": statistics.mean(RETURNS) / math.sqrt(0.5**2 / 8) * YEAR,
    "calmar": (0.6 ** (365.25 / 7) - 1) / 0.5,
    "max_drawdown": 0.5,
    "max_drawdown_days": 2,
    "longest_drawdown_days": 2,
    "exposure": 5 / 8,
    "fees": 0,
    "turnover": 4,
    "buy_and_hold_return": -0.35,
    "bars": 8,
    "days": 8,
    "periods_per_year": 365,
    "open_trades": 0,
    "rejected": 0,
    "ruined": False,
    "trades": 2,
    "win_rate": 0.5,
    "profit_factor": 200 / 600,
    "expectancy": -200,
    "average_win": 200,
    "average_loss": -600,
    "payoff": 200 / 600,
    "best_trade": 200,
    "worst_trade": -600,
    "max_consecutive_wins": 1,
    "max_consecutive_losses": 1,
    "average_trade_bars": 1.5,
    "average_trade_days": 1.5,
    "sqn": -0.5,
}


def test_every_number_of_the_summary_is_the_one_worked_by_hand() -> None:
    bars = market(*ROWS)
    simulation = lived(asks(bars, long=[1, 4], sell=[2, 6]), bars)
    assert simulation.equity.tolist() == pytest.approx(EQUITY)
    summary = summarise(simulation, span_of(bars, simulation.plan.day, 1000.0))
    assert summary == pytest.approx(SUMMARY)
    assert list(summary).index("verdict") == list(summary).index("sharpe") + 1


def test_what_is_undefined_is_null() -> None:
    bars = market(*flat(10, 3))
    simulation = lived(asks(bars, long=[]), bars)
    summary = summarise(simulation, span_of(bars, simulation.plan.day, 1000.0))
    undefined = {name for name, value in summary.items() if value is None}
    assert undefined == {
        *("sharpe", "sortino", "calmar", "win_rate", "profit_factor", "expectancy"),
        *("average_win", "average_loss", "payoff", "best_trade", "worst_trade"),
        *("average_trade_bars", "average_trade_days", "sqn"),
    }
    assert (summary["volatility"], summary["cagr"], summary["trades"]) == (0, 0, 0)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("count", [1, 2, 30, 400])
@pytest.mark.parametrize("how", [Settings(), COSTLY, RUINOUS], ids=["plain", "costly", "ruinous"])
def test_every_bit_is_that_of_plain_python(name: str, count: int, how: Settings) -> None:
    strategy = read_strategy(ALL[name])
    for seed in range(5):
        bars = hourly_bars(seed, count)
        frame = Frame(bars, strategy.session.timezone)
        signals = compile_signals(strategy, {}, bars, frame=frame)
        simulation = simulate(signals, bars, how, first=count // 3)
        span = span_of(bars, frame.clock.day, how.cash, first=count // 3)
        found = summarise(simulation, span)
        with np.errstate(all="ignore"):
            plain = plain_summary(simulation, bars, frame.clock.day, how.cash)
        assert {name: repr(found[name]) for name in sorted(found)} == {
            name: repr(plain[name]) for name in sorted(plain)
        }
