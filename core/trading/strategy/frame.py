"""What follows from bars alone, in one timezone: prices, wall clock, higher timeframes."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from core.trading.bars.header import NUMBERS
from core.trading.bars.series import Bars, FloatArray
from core.trading.bars.timeframes import Timeframe
from core.trading.indicators.windows import count_unknown, forget_infinities
from core.trading.strategy.higher_timeframe import HigherBars, raise_timeframe
from core.trading.strategy.wall_clock import WallClock


@dataclass
class Frame:
    """One symbol's bars with what is derived from them, each computed once and when needed.

    A sweep makes one and gives it to every `compile_signals` of a strategy on these bars.
    """

    bars: Bars
    timezone: str
    _prices: dict[tuple[str, Timeframe], FloatArray] = field(default_factory=dict)
    _known: dict[tuple[str, Timeframe], bool] = field(default_factory=dict)
    _higher: dict[Timeframe, HigherBars] = field(default_factory=dict)

    @cached_property
    def clock(self) -> WallClock:
        """The wall clock of every bar."""
        return WallClock(self.bars.stamps, self.timezone)

    def higher(self, timeframe: Timeframe) -> HigherBars:
        """Answer the bars of a timeframe above that of the bars."""
        if timeframe not in self._higher:
            raised = raise_timeframe(self.bars, self.clock, timeframe, self.timezone)
            self._higher[timeframe] = raised
        return self._higher[timeframe]

    def is_higher(self, timeframe: Timeframe) -> bool:
        """Say whether a timeframe is above that of the bars."""
        return timeframe.microseconds > self.bars.timeframe.microseconds

    def at(self, timeframe: Timeframe) -> Bars:
        """Answer the bars at a timeframe."""
        return self.higher(timeframe).bars if self.is_higher(timeframe) else self.bars

    def price(self, name: str, timeframe: Timeframe | None = None) -> FloatArray:
        """Answer a price of the bars at a timeframe, float64 of their length."""
        timeframe = timeframe or self.bars.timeframe
        key = (name, timeframe)
        if key not in self._prices:
            self._prices[key] = _price(self.at(timeframe), name)
        return self._prices[key]

    def is_known(self, name: str, timeframe: Timeframe) -> bool:
        """Say whether a price at a timeframe has no unknown value; every input asks that.

        The columns of `Bars` have none: what reads files refuses it, and what is stored since is
        taken by its hash. Prices made of them may be too large, sums of volume likewise.
        """
        if name in NUMBERS and not self.is_higher(timeframe):
            return True
        key = (name, timeframe)
        if key not in self._known:
            self._known[key] = count_unknown(self.price(name, timeframe)) == 0
        return self._known[key]


def _price(bars: Bars, name: str) -> FloatArray:
    if name == "hl2":
        mean = (bars.high + bars.low) / 2.0
    elif name == "hlc3":
        mean = (bars.high + bars.low + bars.close) / 3.0
    elif name == "ohlc4":
        mean = (bars.open + bars.high + bars.low + bars.close) / 4.0
    else:
        column: FloatArray = np.require(getattr(bars, name), np.float64, ["C", "W"])
        return column
    forget_infinities(mean)
    return mean
