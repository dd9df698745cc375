"""Drawdowns of an equity curve, in one sequential pass."""

from core.trading.backtest.jit import compiled
from core.trading.backtest.run_numbers import Numbers
from core.trading.bars.series import FloatArray, IntArray
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY

_BLOCK = 64
_LANES = 8


@compiled
def measure_drawdowns(equity: FloatArray, stamps: IntArray, cash: float, numbers: Numbers) -> None:
    """Write the deepest fall from a peak as a fraction of it, and times from peak to recovery.

    From the starting cash, which counts as a peak at the first stamp; what does not recover
    lasts to the end. In calendar days: the deepest one's, and the longest of all. `equity`:
    float64[m] at `stamps`, m > 0. Blocks that stay below the peak are only asked for their lowest.
    """
    peak, peak_stamp, lowest = cash, stamps[0], cash
    deepest, deepest_time, longest_time = 0.0, 0, 0
    last = len(equity) - 1
    for start in range(0, len(equity), _BLOCK):
        block = equity[start : start + _BLOCK]
        low, high = extremes(block)
        if high < peak:
            lowest = min(lowest, low)
            continue
        for k in range(len(block)):
            if block[k] < peak:
                lowest = min(lowest, block[k])
                continue
            if lowest < peak:
                time = stamps[start + k] - peak_stamp
                longest_time = max(longest_time, time)
                depth = (peak - lowest) / peak
                if depth > deepest:
                    deepest, deepest_time = depth, time
            peak, peak_stamp, lowest = block[k], stamps[start + k], block[k]
    if lowest < peak:
        time = stamps[last] - peak_stamp
        longest_time = max(longest_time, time)
        depth = (peak - lowest) / peak
        if depth > deepest:
            deepest, deepest_time = depth, time
    numbers.max_drawdown = deepest
    numbers.max_drawdown_days = deepest_time / MICROSECONDS_PER_DAY
    numbers.longest_drawdown_days = longest_time / MICROSECONDS_PER_DAY


@compiled
def extremes(x: FloatArray) -> tuple[float, float]:
    """Answer the lowest and the highest of at least one number, eight lanes side by side."""
    l0 = l1 = l2 = l3 = l4 = l5 = l6 = l7 = x[0]
    h0 = h1 = h2 = h3 = h4 = h5 = h6 = h7 = x[0]
    whole = len(x) // _LANES * _LANES
    for k in range(0, whole, _LANES):
        l0, h0 = min(l0, x[k]), max(h0, x[k])
        l1, h1 = min(l1, x[k + 1]), max(h1, x[k + 1])
        l2, h2 = min(l2, x[k + 2]), max(h2, x[k + 2])
        l3, h3 = min(l3, x[k + 3]), max(h3, x[k + 3])
        l4, h4 = min(l4, x[k + 4]), max(h4, x[k + 4])
        l5, h5 = min(l5, x[k + 5]), max(h5, x[k + 5])
        l6, h6 = min(l6, x[k + 6]), max(h6, x[k + 6])
        l7, h7 = min(l7, x[k + 7]), max(h7, x[k + 7])
    for k in range(whole, len(x)):
        l0, h0 = min(l0, x[k]), max(h0, x[k])
    low = min(l0, l1, l2, l3, l4, l5, l6, l7)
    high = max(h0, h1, h2, h3, h4, h5, h6, h7)
    return low, high
