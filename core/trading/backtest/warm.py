"""Fill the cache of machine code: `python -m core.trading.backtest.warm`, at installation.

A worker's first backtest then loads what it needs instead of compiling it for half a minute.
Safe to run beside others that fill the same cache.
"""

import sys

import numpy as np

from core.trading.backtest.jit import cache_directory
from core.trading.backtest.run import run_backtest
from core.trading.backtest.settings import Settings
from core.trading.bars.series import Bars
from core.trading.bars.timeframes import Timeframe
from core.trading.strategy.reading import read_strategy

_BARS = 400
_EVERY_FUNCTION = {
    "spec": "strategy/1",
    "name": "warm",
    "timeframe": "1d",
    "inputs": {
        "fast": {"ta": "SMA", "with": {"timeperiod": 5}},
        "slow": {"ta": "SMA", "with": {"timeperiod": 20}},
        "week": {"ta": "SMA", "with": {"timeperiod": 5}, "timeframe": "1w"},
    },
    "long": {
        "entry": "crosses_above(fast, slow) and highest(high, 5) >= lowest(low, 5)"
        " and mean(close, 3) + std(close, 3) + zscore(close, 3) > 0 or rising(close, 2)"
        " or close > week",
        "exit": "bars_held > 5 or mean(unrealized_pct, 3) > std(unrealized_pct, 3)"
        " or zscore(equity, 3) > 9 or falling(close, 3) or bars_since(close > open) > 5",
    },
    "sizing": {"method": "vol_target", "annual_percent": 20, "lookback": 10},
}


def warm() -> None:
    """Run a strategy that reaches every compiled function once."""
    wave = 100.0 + 10.0 * np.sin(np.arange(_BARS) / 9.0)
    stamps = (np.arange(_BARS, dtype=np.int64) + 1) * Timeframe.D1.microseconds
    bars = Bars("WARM", Timeframe.D1, stamps, wave, wave + 1, wave - 1, wave, np.ones(_BARS))
    run_backtest(read_strategy(_EVERY_FUNCTION), bars, settings=Settings(close_at_end=True))


if __name__ == "__main__":
    if not any(cache_directory().rglob("*.nbi")):
        sys.stdout.write("→ compiling the engine, once: about half a minute\n")
        sys.stdout.flush()
    warm()
