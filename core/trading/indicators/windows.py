"""Windowed functions of the strategy language, each bar from its own window alone.

No running sums: a sum is taken afresh for every bar, oldest value to newest, so that the batch,
a stream and the kernel's stack machine answer the same bits. `x`: float64[n], oldest first.
Unless said otherwise, a window of `length` bars ends with bar t, and the answer is NaN while
any of its values is NaN or lies before bar 0.
"""

import math

import numpy as np
from numba import njit

from core.trading.bars.series import FloatArray

_BLOCK = 1024


@njit(nogil=True, cache=True)
def forget_infinities(x: FloatArray) -> None:
    """Turn infinities into NaN, in place: what is infinite is unknown."""
    infinite = 0
    for i in range(len(x)):
        infinite |= int(math.fabs(x[i]) == np.inf)
    if infinite:
        for i in range(len(x)):
            if math.fabs(x[i]) == np.inf:
                x[i] = np.nan


@njit(nogil=True, cache=True)
def count_unknown(x: FloatArray) -> int:
    """Count the values that are NaN or infinite."""
    count = 0
    for i in range(len(x)):
        count += int(not math.fabs(x[i]) < np.inf)
    return count


@njit(nogil=True, cache=True)
def highest(x: FloatArray, length: int) -> FloatArray:
    """Answer the highest value of each window."""
    out = np.full(len(x), np.nan)
    for t in range(length - 1, len(x)):
        best = x[t - length + 1]
        for i in range(t - length + 1, t + 1):
            if not x[i] <= best:
                best = x[i]
            if math.isnan(best):
                break
        out[t] = best
    return out


@njit(nogil=True, cache=True)
def lowest(x: FloatArray, length: int) -> FloatArray:
    """Answer the lowest value of each window."""
    out = np.full(len(x), np.nan)
    for t in range(length - 1, len(x)):
        best = x[t - length + 1]
        for i in range(t - length + 1, t + 1):
            if not x[i] >= best:
                best = x[i]
            if math.isnan(best):
                break
        out[t] = best
    return out


@njit(nogil=True, cache=True)
def window_mean(x: FloatArray, t: int, length: int) -> float:
    """Answer the mean of the window that ends at bar t, NaN where it is unknown or infinite."""
    if t < length - 1:
        return np.nan
    total = 0.0
    for i in range(t - length + 1, t + 1):
        total += x[i]
    answer = total / length
    return answer if math.fabs(answer) < np.inf else np.nan


@njit(nogil=True, cache=True)
def window_std(x: FloatArray, t: int, length: int) -> float:
    """Answer the standard deviation (ddof 0) of the window that ends at bar t.

    Two passes: the mean first, then the mean of the squared differences; exactly 0 for a
    constant. NaN where it is unknown or infinite.
    """
    if t < length - 1:
        return np.nan
    centre = window_mean(x, t, length)
    first = x[t - length + 1]
    total = 0.0
    constant = True
    for i in range(t - length + 1, t + 1):
        constant = constant and x[i] == first
        total += (x[i] - centre) * (x[i] - centre)
    answer = 0.0 if constant else math.sqrt(total / length)
    return answer if math.fabs(answer) < np.inf else np.nan


@njit(nogil=True, cache=True)
def window_zscore(x: FloatArray, t: int, length: int) -> float:
    """Answer (x - mean) / std of the window that ends at bar t, NaN for a constant window."""
    spread = window_std(x, t, length)
    if not spread > 0.0:
        return np.nan
    answer = (x[t] - window_mean(x, t, length)) / spread
    return answer if math.fabs(answer) < np.inf else np.nan


@njit(nogil=True, cache=True)
def mean(x: FloatArray, length: int) -> FloatArray:
    """Answer the mean of each window.

    Sums many windows side by side, each in its own order, which vectorises.
    """
    out = np.full(len(x), np.nan)
    for start in range(length - 1, len(x), _BLOCK):
        stop = min(start + _BLOCK, len(x))
        block = out[start:stop]
        block[:] = 0.0
        for back in range(length - 1, -1, -1):
            block += x[start - back : stop - back]
        block /= length
    forget_infinities(out)
    return out


@njit(nogil=True, cache=True)
def std(x: FloatArray, length: int) -> FloatArray:
    """Answer the standard deviation of each window, ddof 0."""
    out = np.empty(len(x))
    for t in range(len(x)):
        out[t] = window_std(x, t, length)
    return out


@njit(nogil=True, cache=True)
def zscore(x: FloatArray, length: int) -> FloatArray:
    """Answer how many standard deviations each value lies from its window's mean."""
    out = np.empty(len(x))
    for t in range(len(x)):
        out[t] = window_zscore(x, t, length)
    return out


@njit(nogil=True, cache=True)
def steps(x: FloatArray, length: int, sign: float) -> FloatArray:
    """Answer 1.0 where each of the last `length` steps went the way of `sign`, else 0.0.

    Reads `length` + 1 values; NaN while any of them is unknown.
    """
    out = np.full(len(x), np.nan)
    for t in range(length, len(x)):
        answer = 1.0
        for i in range(t - length, t + 1):
            if math.isnan(x[i]):
                answer = np.nan
                break
            if i > t - length and not (x[i] - x[i - 1]) * sign > 0.0:
                answer = 0.0
        out[t] = answer
    return out


@njit(nogil=True, cache=True)
def bars_since(happened: np.ndarray) -> FloatArray:
    """Answer the bars since a flag (bool[n]) was last set, 0 at it, NaN before the first."""
    out = np.full(len(happened), np.nan)
    last = -1
    for t in range(len(happened)):
        if happened[t]:
            last = t
        if last >= 0:
            out[t] = t - last
    return out
