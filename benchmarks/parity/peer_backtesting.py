"""One case through backtesting.py, with our signals or with its own indicator and cross."""

import warnings

import numpy as np
import pandas as pd
import talib
from backtesting import Backtest, Strategy
from backtesting.lib import crossover
from cases import CASH, Case, Flags, Market, flags, levels


class _Signalled(Strategy):
    """Trades conditions as our language reads them; an exit wins over an entry of its side."""

    case: Case | None = None
    marks: Flags | None = None
    stop: float | None = None
    target: float | None = None

    def init(self) -> None:
        """Nothing to prepare: the conditions are ready-made."""

    def conditions(self) -> tuple[bool, bool, bool, bool]:
        """Answer long entry, long exit, short entry, short exit at the last bar."""
        at, m = len(self.data) - 1, self.marks
        return m.long_entry[at], m.long_exit[at], m.short_entry[at], m.short_exit[at]

    def next(self) -> None:
        """Turn the conditions at this close into orders for the next open."""
        enter_long, exit_long, enter_short, exit_short = self.conditions()
        enter_long, enter_short = enter_long and not exit_long, enter_short and not exit_short
        if self.position.is_long:
            self._leave_or_reverse(-1, opposite=enter_short, leaves=exit_long)
        elif self.position.is_short:
            self._leave_or_reverse(1, opposite=enter_long, leaves=exit_short)
        elif enter_long != enter_short:
            self._enter(1 if enter_long else -1)

    def _leave_or_reverse(self, side: int, *, opposite: bool, leaves: bool) -> None:
        if opposite:
            self._enter(side)
        elif leaves:
            self.position.close()

    def _enter(self, side: int) -> None:
        close = self.data.Close[-1]
        size = {} if self.case.percent == 100 else {"size": self.case.percent / 100}
        stop = None if self.stop is None else close * (1 - side * self.stop / 100)
        target = None if self.target is None else close * (1 + side * self.target / 100)
        order = self.buy if side > 0 else self.sell
        order(sl=stop, tp=target, **size)


class _OwnCross(_Signalled):
    """Computes its moving averages and asks the engine's own crossover."""

    def init(self) -> None:
        """Register the two averages."""
        self.fast = self.I(talib.SMA, self.data.Close, self.case.fast)
        self.slow = self.I(talib.SMA, self.data.Close, self.case.slow)

    def conditions(self) -> tuple[bool, bool, bool, bool]:
        """Answer the crosses as the engine sees them."""
        up, down = crossover(self.fast, self.slow), crossover(self.slow, self.fast)
        if self.case.sides == "long":
            return up, down, False, False
        return up, down, down, up


def run(case: Case, data_set: str, market: Market) -> dict:
    """Answer trades (entry bar, exit bar, signed size, prices) and equity of one case."""
    frame = pd.DataFrame(
        {"Open": market.open, "High": market.high, "Low": market.low, "Close": market.close},
        index=pd.DatetimeIndex(market.time),
    )
    stop, target = levels(case, data_set)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test = Backtest(
            frame,
            _OwnCross if case.source == "own" else _Signalled,
            cash=CASH,
            commission=case.commission_bps / 10_000,
            spread=case.slippage_bps / 10_000,
            exclusive_orders=True,
        )
        stats = test.run(case=case, marks=flags(case, market), stop=stop, target=target)
    columns = ["EntryBar", "ExitBar", "Size", "EntryPrice", "ExitPrice"]
    trades = stats["_trades"].sort_values(["ExitBar", "EntryBar"], kind="stable")[columns]
    return {
        "trades": trades.to_numpy(dtype=np.float64),
        "equity": stats["_equity_curve"]["Equity"].to_numpy(),
    }
