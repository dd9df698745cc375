"""One case through vectorbt, orders at the open after the signal, with ours or its own cross."""

import numpy as np
import pandas as pd
import vectorbt as vbt
from cases import CASH, Case, Market, flags, levels


def _shifted(values: np.ndarray) -> np.ndarray:
    return np.concatenate(([False], np.asarray(values, dtype=bool)[:-1]))


def _conditions(case: Case, market: Market) -> list[np.ndarray]:
    if case.source != "own":
        marks = flags(case, market)
        return [marks.long_entry, marks.long_exit, marks.short_entry, marks.short_exit]
    close = pd.Series(market.close)
    fast = vbt.IndicatorFactory.from_talib("SMA").run(close, timeperiod=case.fast)
    slow = vbt.IndicatorFactory.from_talib("SMA").run(close, timeperiod=case.slow)
    up = fast.real_crossed_above(slow.real).to_numpy()
    down = fast.real_crossed_below(slow.real).to_numpy()
    nothing = np.zeros_like(up)
    return [up, down, nothing, nothing] if case.sides == "long" else [up, down, down, up]


def run(case: Case, data_set: str, market: Market) -> dict:
    """Answer trades (entry bar, exit bar, signed size, prices) and equity of one case."""
    stop, target = levels(case, data_set)
    long_entry, long_exit, short_entry, short_exit = map(_shifted, _conditions(case, market))
    partial = {} if case.percent == 100 else {"size": case.percent / 100, "size_type": "percent"}
    portfolio = vbt.Portfolio.from_signals(
        pd.Series(market.close, index=pd.DatetimeIndex(market.time)),
        entries=long_entry,
        exits=long_exit,
        short_entries=short_entry,
        short_exits=short_exit,
        price=market.open,
        open=market.open,
        high=market.high,
        low=market.low,
        init_cash=CASH,
        fees=case.commission_bps / 10_000,
        slippage=case.slippage_bps / 10_000,
        sl_stop=None if stop is None else stop / 100,
        tp_stop=None if target is None else target / 100,
        stop_entry_price="fillprice",
        upon_opposite_entry="reverse",
        engine="numba",
        **partial,
    )
    records = portfolio.exit_trades.records
    closed = records[records["status"] == 1]
    size = closed["size"] * np.where(closed["direction"] == 0, 1.0, -1.0)
    trades = np.column_stack(
        (closed["entry_idx"], closed["exit_idx"], size, closed["entry_price"], closed["exit_price"])
    )
    return {"trades": trades, "equity": portfolio.value().to_numpy()}
