"""Sums rounded once: what `math.fsum` answers, in compiled code.

The exact sum of numbers has one nearest float64, so whatever finds it answers the same bits.
"""

from core.trading.backtest.jit import compiled
from core.trading.bars.series import FloatArray

ROOM = 64
"""How many values behind the summed ones `exact_sum` may write over: 2,098 bits / 53, and more."""

_INFINITY = float("inf")
_TWICE_THE_ERROR_OF_A_SUM = 2.0**-52


@compiled
def exact_sum(values: FloatArray, count: int) -> float:
    """Answer the sum of the first `count` values, rounded once; 0.0 of none.

    Each addition's own error is known exactly (Knuth's two-sum); the errors are summed with one
    of their own that is bounded, and if both bounds round alike, so does the exact sum. Where they
    do not, it is worked out in full. `values`: with ROOM elements to work in behind them.
    """
    total, error, size = 0.0, 0.0, 0.0
    for i in range(count):
        x = values[i]
        longer = total + x
        taken = longer - total
        lost = (total - (longer - taken)) + (x - taken)
        error += lost
        size += abs(lost)
        total = longer
    if not abs(total) < _INFINITY:
        return total
    margin = size * count * _TWICE_THE_ERROR_OF_A_SUM
    low, high = total + (error - margin), total + (error + margin)
    return low if low == high else sum_in_full(values, count)


@compiled
def sum_in_full(values: FloatArray, count: int) -> float:
    """Answer the same with the exact sum kept as parts that do not overlap (Shewchuk 1997)."""
    parts = 0
    for i in range(count):
        x = values[i]
        kept = 0
        for k in range(parts):
            part = values[count + k]
            large, small = (x, part) if abs(x) >= abs(part) else (part, x)
            x = large + small
            rest = small - (x - large)
            if rest != 0.0:
                values[count + kept] = rest
                kept += 1
        values[count + kept] = x
        parts = kept + 1
    return rounded(values, count, count + parts)


@compiled
def rounded(values: FloatArray, start: int, stop: int) -> float:
    """Answer the float64 nearest to the parts [start, stop), smallest first.

    Where what is left is just half of the last bit, the next part says which way to go.
    """
    at = stop - 1
    if at < start:
        return 0.0
    total, rest = float(values[at]), 0.0
    while at > start and rest == 0.0:
        at -= 1
        longer = total + values[at]
        rest = values[at] - (longer - total)
        total = longer
    below = values[at - 1] if at > start else 0.0
    if (rest > 0.0 and below > 0.0) or (rest < 0.0 and below < 0.0):
        beyond = total + 2.0 * rest
        if beyond - total == 2.0 * rest:
            total = beyond
    return total
