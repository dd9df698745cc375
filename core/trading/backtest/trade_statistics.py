"""Numbers of the closed trades, net of fees; what is undefined is None."""

import math
from itertools import groupby
from typing import Any

import numpy as np

from core.trading.backtest.daily import deviation, mean
from core.trading.backtest.records import RecordArray
from core.trading.bars.series import IntArray
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY


def trade_statistics(trades: RecordArray, stamps: IntArray) -> dict[str, Any]:
    """Answer the statistics by name. `stamps`: int64[n] of the bars that trades count in."""
    pnl: list[float] = trades["pnl"].tolist()
    wins = [x for x in pnl if x > 0.0]
    losses = [x for x in pnl if x < 0.0]
    held = (trades["exit_bar"] - trades["entry_bar"]).tolist()
    times = (stamps[trades["exit_bar"]] - stamps[trades["entry_bar"]]).tolist()
    average_time = mean(times)
    return {
        "trades": len(pnl),
        "win_rate": len(wins) / len(pnl) if pnl else None,
        "profit_factor": _ratio(math.fsum(wins), -math.fsum(losses)),
        "expectancy": mean(pnl),
        "average_win": mean(wins),
        "average_loss": mean(losses),
        "payoff": _ratio(mean(wins), _negated(mean(losses))),
        "best_trade": max(pnl, default=None),
        "worst_trade": min(pnl, default=None),
        "max_consecutive_wins": _longest_run(pnl, winning=True),
        "max_consecutive_losses": _longest_run(pnl, winning=False),
        "average_trade_bars": mean(held),
        "average_trade_days": None if average_time is None else average_time / MICROSECONDS_PER_DAY,
        "sqn": system_quality(pnl),
    }


def system_quality(pnl: list[float]) -> float | None:
    """Answer the system quality number: root of n times mean over deviation (backtesting.py)."""
    centre, spread = mean(pnl), deviation(pnl)
    if centre is None or not spread:
        return None
    return math.sqrt(len(pnl)) * centre / spread


def traded_value(trades: RecordArray, opened_value: float) -> float:
    """Answer the value of all fills: both legs of the closed trades and what is still open."""
    legs = trades["quantity"] * trades["entry_price"] + trades["quantity"] * trades["exit_price"]
    return math.fsum([*legs.tolist(), opened_value])


def bars_in_market(trades: RecordArray, open_since: int, first: int, stop: int) -> int:
    """Answer how many of bars [first, stop) held a position, entry and exit bars included.

    `open_since`: the entry bar of the position still open, -1 where there is none.
    """
    entries, after = trades["entry_bar"], trades["exit_bar"] + 1
    if open_since >= 0:
        entries, after = np.append(entries, open_since), np.append(after, stop)
    free = np.maximum.accumulate(np.append(first, after))[:-1]
    return int(np.maximum(after - np.maximum(entries, free), 0).sum())


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _negated(value: float | None) -> float | None:
    return None if value is None else -value


def _longest_run(pnl: list[float], *, winning: bool) -> int:
    hits = ((x > 0.0) if winning else (x < 0.0) for x in pnl)
    return max((sum(1 for _ in run) for hit, run in groupby(hits) if hit), default=0)
