from dataclasses import replace

import numpy as np

from core.trading.bars.timeframes import Timeframe
from core.trading.strategy.frame import Frame
from tests.laws.strategies import hourly_bars


@np.errstate(over="ignore")
def test_a_price_made_of_columns_is_searched_for_what_is_too_large() -> None:
    bars = hourly_bars(5, 100)
    top = np.full(100, 1.7e308)
    huge = replace(bars, high=top, low=top, volume=top)
    for frame, sound in ((Frame(bars, "UTC"), True), (Frame(huge, "UTC"), False)):
        assert frame.is_known("high", Timeframe.H1)
        assert frame.is_known("ohlc4", Timeframe.H1) == sound
        assert frame.is_known("volume", Timeframe.H4) == sound
    assert np.isnan(Frame(huge, "UTC").price("hl2")).all()
