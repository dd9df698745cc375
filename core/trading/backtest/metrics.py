"""The summary of a run: every number that stands in the result document."""

import math
from typing import Any

from core.trading.backtest.daily import (
    cagr,
    daily_equity,
    daily_returns,
    sharpe,
    sortino,
    volatility,
)
from core.trading.backtest.drawdowns import measure_drawdowns
from core.trading.backtest.session_days import periods_per_year
from core.trading.backtest.simulate import Simulation
from core.trading.backtest.trade_statistics import (
    bars_in_market,
    trade_statistics,
    traded_value,
)
from core.trading.bars.series import IntArray
from core.trading.bars.timeframes import Timeframe

UNTESTED = "untested"


def summarise(
    simulation: Simulation, days: IntArray, timeframe: Timeframe, cash: float
) -> dict[str, Any]:
    """Answer the numbers by name, undefined ones as None.

    `days`: int64[n], the session day of every bar. Fractions are not percents; money is in the
    symbol's currency, durations name their unit. `verdict` stands beside the Sharpe:
    `untested` until the luck statistics have run.
    """
    first, stop = simulation.first, simulation.next_bar
    stamps = simulation.market.stamps
    equity, trades = simulation.equity, simulation.trades
    daily, days = daily_equity(equity, days[first:stop])
    returns = daily_returns(daily, cash)
    periods = periods_per_year(days, timeframe)
    falls = measure_drawdowns(equity, stamps[first:stop], cash)
    final = float(equity[-1])
    growth = cagr(cash, final, int(stamps[stop - 1] - stamps[first]))
    closes = simulation.market.close
    state = simulation.state
    opened = float(abs(state["quantity"][0])) * _or_zero(float(state["entry_price"][0]))
    summary = {
        "final_equity": final,
        "total_return": final / cash - 1.0,
        "cagr": growth,
        "volatility": volatility(returns, periods),
        "sharpe": sharpe(returns, periods),
        "verdict": UNTESTED,
        "sortino": sortino(returns, periods),
        "calmar": growth / falls.deepest if growth is not None and falls.deepest else None,
        "max_drawdown": falls.deepest,
        "max_drawdown_days": falls.deepest_days,
        "longest_drawdown_days": falls.longest_days,
        "exposure": bars_in_market(trades, int(state["entry_bar"][0]), first, stop)
        / (stop - first),
        "fees": math.fsum([*trades["fees"].tolist(), float(state["fees"][0])]),
        "turnover": traded_value(trades, opened) / falls.mean_equity if falls.mean_equity else None,
        "buy_and_hold_return": float(closes[stop - 1] / closes[first] - 1.0),
        "bars": stop - first,
        "days": len(days),
        "periods_per_year": periods,
        "open_trades": int(state["quantity"][0] != 0.0),
        "rejected": len(simulation.rejections),
        "ruined": bool(state["ruined"][0]),
    }
    return summary | trade_statistics(trades, stamps)


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
