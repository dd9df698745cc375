"""Time the peers on an SMA cross, indicators, equity and trades included; one JSON line each.

Runs in the peers' environment: `python benchmarks/engine_peers.py ENGINE BARS REPEATS`.
"""

import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import talib
from engine_bars import CASH, FAST, SLOW, bars, crosses


def backtesting_py(prices: dict[str, np.ndarray]) -> Callable[[], int]:
    from backtesting import Backtest, Strategy
    from backtesting.lib import crossover

    class Cross(Strategy):
        def init(self) -> None:
            self.fast = self.I(talib.SMA, self.data.Close, FAST)
            self.slow = self.I(talib.SMA, self.data.Close, SLOW)

        def next(self) -> None:
            if crossover(self.fast, self.slow):
                self.buy()
            elif crossover(self.slow, self.fast):
                self.position.close()

    frame = pd.DataFrame({name.title(): column for name, column in prices.items()})
    test = Backtest(frame, Cross, cash=CASH, exclusive_orders=True)
    return lambda: len(test.run()["_trades"])


def vectorbt(prices: dict[str, np.ndarray], engine: str) -> Callable[[], int]:
    import vectorbt as vbt

    close = pd.Series(prices["close"])

    def once() -> int:
        up, down = crosses(talib.SMA(prices["close"], FAST), talib.SMA(prices["close"], SLOW))
        portfolio = vbt.Portfolio.from_signals(
            close,
            entries=np.concatenate(([False], up[:-1])),
            exits=np.concatenate(([False], down[:-1])),
            price=prices["open"],
            init_cash=CASH,
            engine=engine,
            freq="1min",
        )
        portfolio.value()
        return int((portfolio.exit_trades.records["status"] == 1).sum())

    return once


def backtrader(prices: dict[str, np.ndarray]) -> Callable[[], int]:
    import backtrader as bt

    class Cross(bt.Strategy):
        def __init__(self) -> None:
            fast, slow = bt.indicators.SMA(period=FAST), bt.indicators.SMA(period=SLOW)
            self.cross = bt.indicators.CrossOver(fast, slow)

        def next(self) -> None:
            if self.cross > 0:
                self.order_target_percent(target=0.99)
            elif self.cross < 0:
                self.close()

    index = pd.date_range("2020-01-01", periods=len(prices["close"]), freq="min")
    frame = pd.DataFrame(prices | {"volume": 1.0, "openinterest": 0.0}, index=index)

    def once() -> int:
        engine = bt.Cerebro(stdstats=False)
        engine.broker.setcash(CASH)
        engine.adddata(bt.feeds.PandasData(dataname=frame))
        engine.addstrategy(Cross)
        engine.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
        answer = engine.run()[0]
        return int(answer.analyzers.trades.get_analysis()["total"]["closed"])

    return once


def main(engine: str, count: int, repeats: int) -> None:
    warnings.simplefilter("ignore")
    prices = bars(count)
    if engine.startswith("vectorbt"):
        once = vectorbt(prices, engine.removeprefix("vectorbt-"))
    else:
        once = {"backtesting.py": backtesting_py, "backtrader": backtrader}[engine](prices)
    taken, trades = [], 0
    if engine.startswith("vectorbt"):
        once()
    for _ in range(repeats):
        began = time.perf_counter()
        trades = once()
        taken.append(time.perf_counter() - began)
    print(json.dumps({"seconds": statistics.median(taken), "trades": trades}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
