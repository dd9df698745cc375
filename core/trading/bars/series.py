"""Bars in memory: what indicators, strategies and the engine read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.trading.bars.timeframes import Timeframe

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
FlagArray = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Bars:
    """One symbol's bars at one timeframe, oldest first, every column of length n.

    `stamps`: int64[n], microseconds since the Unix epoch, UTC, of each bar's close, strictly
    increasing. `open`, `high`, `low`, `close`, `volume`: float64[n], finite, C-contiguous and
    writable (numba compiles anew for a read-only array, TA-Lib never forgets a NaN).
    `label_offset`: microseconds from the date that stood in the file to the stamp, for bars
    that came with a date only; 0 for timed bars. Such a bar is shown as its date.
    """

    symbol: str
    timeframe: Timeframe
    stamps: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    label_offset: int = 0

    def __len__(self) -> int:
        return len(self.stamps)
