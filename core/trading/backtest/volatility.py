"""Weights that aim at a volatility, from nothing later than the bar they are read at."""

import math

import numpy as np

from core.trading.backtest.jit import compiled
from core.trading.backtest.session_days import (
    DAYS_PER_YEAR,
    TRADING_DAYS_PER_YEAR,
    WEEKS_PER_YEAR,
    is_saturday,
    saturdays_between,
)
from core.trading.bars.series import Bars, FlagArray, FloatArray
from core.trading.bars.timeframes import Timeframe
from core.trading.strategy.signals import Signals

_PERCENT = 100.0


def volatility_weights(signals: Signals, bars: Bars) -> FloatArray:
    """Answer float64[n]: target / (sigma * sqrt(A)), NaN where sigma is unknown or 0.

    sigma is the standard deviation, ddof 1, of the simple returns of the last `lookback` bars;
    A the bars a year as far as the data up to that bar tell. Capped by `max_weight`.
    """
    sizing = signals.sizing
    wanted = _wanted(signals, len(bars))
    deviations = np.full(len(bars), np.nan)
    close = np.require(bars.close, np.float64, ("C", "W"))
    fill_deviations(close, wanted, sizing.lookback, np.empty(max(sizing.lookback, 1)), deviations)
    weights = sizing.value / _PERCENT / (deviations * np.sqrt(bars_per_year(signals, bars)))
    if sizing.max_weight is not None:
        weights = np.minimum(weights, sizing.max_weight / _PERCENT)
    return weights


def _wanted(signals: Signals, bars: int) -> FlagArray:
    if signals.program is not None:
        return np.ones(bars, dtype=np.int8)
    wanted = np.zeros(bars, dtype=np.int8)
    for side in (signals.long, signals.short):
        if side is not None:
            wanted |= side.entry
    return wanted


@compiled
def fill_deviations(
    close: FloatArray, wanted: FlagArray, lookback: int, returns: FloatArray, answer: FloatArray
) -> None:
    """Write sigma at the bars wanted; the others, and where it is unknown or 0, stay as they are.

    `returns`: float64[lookback] to work in.
    """
    for t in range(lookback, len(close)):
        if wanted[t] == 0 or lookback <= 1:
            continue
        total = 0.0
        for k in range(lookback):
            at = t - lookback + 1 + k
            returns[k] = close[at] / close[at - 1] - 1.0
            total += returns[k]
        mean = total / lookback
        squares = 0.0
        for k in range(lookback):
            squares += (returns[k] - mean) * (returns[k] - mean)
        if squares > 0.0:
            answer[t] = math.sqrt(squares / (lookback - 1))


def bars_per_year(signals: Signals, bars: Bars) -> FloatArray:
    """Answer float64[n]: bars a year as estimated from bars 0 … t and from no later one.

    Trading days a year are 365 once half of the Saturdays so far have bars, else 252; times the
    bars per session day so far; weekly bars are 52.
    """
    if bars.timeframe is Timeframe.W1:
        return np.full(len(bars), WEEKS_PER_YEAR)
    if signals.day is None:
        raise ValueError("these signals were compiled without days")
    new_day = np.diff(signals.day, prepend=signals.day[:1] - 1) > 0
    traded = np.cumsum(new_day & is_saturday(signals.day))
    saturdays = saturdays_between(signals.day[:1], signals.day)
    always_open = (saturdays > 0) & (2 * traded >= saturdays)
    days_a_year = np.where(always_open, DAYS_PER_YEAR, TRADING_DAYS_PER_YEAR)
    if bars.timeframe is Timeframe.D1:
        return days_a_year
    return days_a_year * np.arange(1, len(bars) + 1) / np.cumsum(new_day)
