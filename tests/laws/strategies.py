"""Strategies that between them reach most of the language and of the engine's rules."""

from typing import Any

import numpy as np

from core.trading.bars.series import Bars
from core.trading.bars.timeframes import Timeframe

PLAIN: dict[str, Any] = {
    "spec": "strategy/1",
    "name": "plain",
    "timeframe": "1h",
    "inputs": {
        "fast": {"ta": "SMA", "with": {"timeperiod": 3}},
        "slow": {"ta": "SMA", "with": {"timeperiod": 8}},
    },
    "long": {"entry": "crosses_above(fast, slow)", "exit": "crosses_below(fast, slow)"},
    "short": {"entry": "crosses_below(fast, slow)", "exit": "crosses_above(fast, slow)"},
}
GUARDED = PLAIN | {
    "name": "guarded",
    "params": {"x": {"type": "number", "default": 1.5}},
    "inputs": PLAIN["inputs"]
    | {
        "atr": {"ta": "ATR", "with": {"timeperiod": 4}},
        "rsi": {"ta": "RSI", "with": {"timeperiod": 5}},
    },
    "long": {"entry": "rsi < 45", "exit": "rsi[1] > 60 or bars_held >= 5"},
    "short": {"entry": "rsi > 55 and falling(close, 2)", "exit": "unrealized_pct < -3"},
    "sizing": {"method": "risk", "percent": 1, "max_leverage": 3},
    "risk": {
        "stop": {"atr": {"of": "atr", "times": "$x"}},
        "target": {"r": 2},
        "trail": {"percent": 3, "after_r": 1},
        "max_bars": 9,
        "cooldown_bars": 1,
        "daily_loss_halt": {"percent": 4},
        "portfolio_drawdown_halt": {"percent": 60},
    },
    "orders": {"entry": {"limit": "close * 0.999", "valid_bars": 2}, "on_ambiguous_bar": "path"},
}
SESSION = PLAIN | {
    "name": "session",
    "inputs": PLAIN["inputs"]
    | {
        "day": {"ta": "SMA", "with": {"timeperiod": 2}, "timeframe": "1d"},
        "four": {"ta": "BBANDS", "with": {"timeperiod": 3}, "on": "hlc3", "timeframe": "4h"},
        "smooth": {"ta": "EMA", "with": {"timeperiod": 3}, "on": "rsi"},
        "rsi": {"ta": "RSI", "with": {"timeperiod": 5}},
    },
    "let": {
        "trend": "close > day or nz(day, 0) == 0",
        "wide": "four.upperband - four.lowerband > 0.1 * std(close, 4)",
        "odd": "bars_since(close > open) > 1 or pct(close, 2) > 1",
    },
    "long": {
        "entry": 'trend and hour() > 9 and session("10:00-16:00") and not odd',
        "exit": "close < lowest(low, 3)[1] or zscore(smooth, 5) > 1.5",
    },
    "short": {
        "entry": "not trend and wide and between(rsi, 30, 70) and day_of_week() < 4",
        "exit": "close > highest(high, 3)[1]",
    },
    "sizing": {"method": "vol_target", "annual_percent": 20, "lookback": 6, "max_weight": 80},
    "session": {
        "timezone": "America/New_York",
        "days": ["mon", "tue", "wed", "thu", "fri"],
        "from": "09:00",
        "to": "17:00",
        "flat_at_close": True,
    },
}
ALL = {strategy["name"]: strategy for strategy in (PLAIN, GUARDED, SESSION)}


def hourly_bars(seed: int, count: int) -> Bars:
    """Answer bars of a random walk over a change of the clock in New York (10 March 2024)."""
    noise = np.random.default_rng(seed)
    close = 50 * np.cumprod(1 + np.clip(noise.normal(0, 0.01, count), -0.3, 0.3))
    start = np.concatenate(([50.0], close[:-1])) * (1 + noise.normal(0, 0.003, count))
    high = np.maximum(start, close) * (1 + np.abs(noise.normal(0, 0.004, count)))
    low = np.minimum(start, close) * (1 - np.abs(noise.normal(0, 0.004, count)).clip(0, 0.5))
    first = int(np.datetime64("2024-03-08T00:00", "us").astype(np.int64))
    stamps = first + (np.arange(count, dtype=np.int64) + 1) * Timeframe.H1.microseconds
    return Bars("X", Timeframe.H1, stamps, start, high, low, close, np.ones(count))
