"""The summary as plain Python works it out, list by list: what compiled code must answer too."""

import math
from itertools import groupby
from typing import Any

import numpy as np

from core.trading.backtest.daily import cagr
from core.trading.backtest.session_days import periods_per_year
from core.trading.backtest.simulate import Simulation
from core.trading.bars.series import Bars
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY


def mean(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def deviation(values: list[float]) -> float | None:
    if len(values) < 2:
        return None
    centre = math.fsum(values) / len(values)
    squares = [(x - centre) * (x - centre) for x in values]
    return math.sqrt(math.fsum(squares) / (len(values) - 1))


def ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def longest(flags: list[bool]) -> int:
    return max((len(list(run)) for hit, run in groupby(flags) if hit), default=0)


def plain_summary(
    simulation: Simulation, bars: Bars, days: np.ndarray, cash: float
) -> dict[str, Any]:
    first, stop = simulation.first, simulation.next_bar
    equity, stamps = simulation.equity.tolist(), bars.stamps.tolist()
    found = of_equity(equity, stamps[first:stop], days[first:stop].tolist(), cash)
    found |= of_trades(simulation.trades, stamps)
    state = simulation.state[0]
    opened = float(abs(state["quantity"])) * float(np.nan_to_num(state["entry_price"]))
    legs = [
        row["quantity"] * row["entry_price"] + row["quantity"] * row["exit_price"]
        for row in simulation.trades
    ]
    held = set()
    for row in simulation.trades:
        held |= set(range(row["entry_bar"], row["exit_bar"] + 1))
    if state["entry_bar"] >= 0:
        held |= set(range(state["entry_bar"], stop))
    listed = sorted(set(days[first:stop].tolist()))
    growth = cagr(cash, equity[-1], stamps[stop - 1] - stamps[first])
    periods = periods_per_year(np.array(listed), bars.timeframe)
    return annual(found, growth, periods) | {
        "exposure": len(held) / len(equity),
        "fees": math.fsum([*simulation.trades["fees"].tolist(), float(state["fees"])]),
        "turnover": math.fsum([*legs, opened]) / (sum_in_order(equity) / len(equity)),
        "buy_and_hold_return": float(bars.close[stop - 1] / bars.close[first] - 1.0),
        "open_trades": int(state["quantity"] != 0),
        "rejected": len(simulation.rejections),
        "ruined": bool(state["ruined"]),
        "verdict": "untested",
    }


def sum_in_order(values: list[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


def annual(found: dict[str, Any], growth: float | None, periods: float) -> dict[str, Any]:
    returns, year = found.pop("returns"), math.sqrt(periods)
    spread = deviation(returns)
    downside = math.sqrt(math.fsum(min(x, 0.0) * min(x, 0.0) for x in returns) / len(returns))
    centre = math.fsum(returns) / len(returns)
    deepest = found["max_drawdown"]
    return found | {
        "cagr": growth,
        "calmar": growth / deepest if growth is not None and deepest else None,
        "periods_per_year": periods,
        "volatility": None if spread is None else spread * year,
        "sharpe": centre / spread * year if spread else None,
        "sortino": centre / downside * year if downside else None,
    }


def of_equity(
    equity: list[float], stamps: list[int], days: list[int], cash: float
) -> dict[str, Any]:
    daily = [value for k, value in enumerate(equity) if days[k : k + 2] != [days[k]] * 2]
    before = [cash, *daily[:-1]]
    peak, since, depth, deepest, deepest_time, longest_time = cash, stamps[0], 0.0, 0.0, 0, 0
    for t, value in enumerate(equity):
        depth = max(depth, (peak - value) / peak)
        if depth > 0.0 and (value >= peak or t == len(equity) - 1):
            longest_time = max(longest_time, stamps[t] - since)
            if depth > deepest:
                deepest, deepest_time = depth, stamps[t] - since
        if value >= peak:
            peak, since, depth = value, stamps[t], 0.0
    return {
        "final_equity": equity[-1],
        "total_return": equity[-1] / cash - 1.0,
        "returns": [
            now / then - 1.0 if then > 0.0 else 0.0 for now, then in zip(daily, before, strict=True)
        ],
        "max_drawdown": deepest,
        "max_drawdown_days": deepest_time / MICROSECONDS_PER_DAY,
        "longest_drawdown_days": longest_time / MICROSECONDS_PER_DAY,
        "bars": len(equity),
        "days": len(daily),
    }


def of_trades(trades: np.ndarray, stamps: list[int]) -> dict[str, Any]:
    pnl: list[float] = trades["pnl"].tolist()
    wins, losses = [x for x in pnl if x > 0.0], [x for x in pnl if x < 0.0]
    entries, exits = trades["entry_bar"].tolist(), trades["exit_bar"].tolist()
    times = [stamps[b] - stamps[a] for a, b in zip(entries, exits, strict=True)]
    lost, time, spread = mean(losses), mean(times), deviation(pnl)
    centre = mean(pnl) or 0.0
    return {
        "trades": len(pnl),
        "win_rate": len(wins) / len(pnl) if pnl else None,
        "profit_factor": ratio(math.fsum(wins), -math.fsum(losses)),
        "expectancy": mean(pnl),
        "average_win": mean(wins),
        "average_loss": lost,
        "payoff": None if lost is None else ratio(mean(wins), -lost),
        "best_trade": max(pnl, default=None),
        "worst_trade": min(pnl, default=None),
        "max_consecutive_wins": longest([x > 0.0 for x in pnl]),
        "max_consecutive_losses": longest([x < 0.0 for x in pnl]),
        "average_trade_bars": mean([b - a for a, b in zip(entries, exits, strict=True)]),
        "average_trade_days": None if time is None else time / MICROSECONDS_PER_DAY,
        "sqn": math.sqrt(len(pnl)) * centre / spread if spread else None,
    }
