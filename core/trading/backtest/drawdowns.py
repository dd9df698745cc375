"""Drawdowns of an equity curve, in one sequential pass."""

from dataclasses import dataclass

import numpy as np

from core.trading.backtest.jit import compiled
from core.trading.bars.series import FloatArray, IntArray
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class Drawdowns:
    """The deepest fall from a peak as a fraction of it, and times from peak to recovery or end.

    `deepest_days` is the deepest one's, `longest_days` the longest of all; calendar days.
    """

    deepest: float
    deepest_days: float
    longest_days: float
    mean_equity: float


def measure_drawdowns(equity: FloatArray, stamps: IntArray, cash: float) -> Drawdowns:
    """Measure from the starting cash, which counts as a peak at the first stamp.

    `equity`: float64[m] at `stamps`, m > 0.
    """
    found = np.zeros(4)
    scan_drawdowns(equity, np.require(stamps, np.int64, ("C", "W")), cash, found)
    deepest, deepest_time, longest_time, total = found.tolist()
    return Drawdowns(
        deepest=deepest,
        deepest_days=deepest_time / MICROSECONDS_PER_DAY,
        longest_days=longest_time / MICROSECONDS_PER_DAY,
        mean_equity=total / len(equity),
    )


@compiled
def scan_drawdowns(equity: FloatArray, stamps: IntArray, cash: float, found: FloatArray) -> None:
    """Write depth and duration of the deepest, duration of the longest, and the sum of equity."""
    peak, peak_stamp = cash, stamps[0]
    depth, deepest, deepest_time, longest_time, total = 0.0, 0.0, 0, 0, 0.0
    last = len(equity) - 1
    for t in range(len(equity)):
        total += equity[t]
        under = equity[t] < peak
        if under:
            depth = max(depth, (peak - equity[t]) / peak)
        if depth > 0.0 and (not under or t == last):
            time = stamps[t] - peak_stamp
            longest_time = max(longest_time, time)
            if depth > deepest:
                deepest, deepest_time = depth, time
            depth = 0.0
        if not under:
            peak, peak_stamp = equity[t], stamps[t]
    found[0] = deepest
    found[1] = deepest_time
    found[2] = longest_time
    found[3] = total
