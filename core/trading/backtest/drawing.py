"""The series of a run thinned out to draw; numpy alone, so that the web may thin them further."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from core.trading.bars.series import FloatArray, IntArray

PREVIEW_POINTS = 8_000


def running_drawdown(equity: FloatArray, cash: float) -> FloatArray:
    """Answer float64[m]: the fall from the peak so far as a fraction of it, 0 or negative."""
    peaks = np.maximum(np.maximum.accumulate(equity), cash)
    answer: FloatArray = equity / peaks - 1.0
    return answer


def downsample(values: FloatArray, points: int) -> IntArray:
    """Answer the indices of at most `points` values that draw the same picture, ascending.

    The series is cut into equal stretches; of each its lowest and highest value stay, and of
    all the first and the last: no fall and no peak disappears. `points` is at least 4.
    """
    n = len(values)
    if n <= points:
        return np.arange(n)
    stretches = (points - 2) // 2
    edges = np.linspace(0, n, stretches + 1).astype(np.int64)
    kept = {0, n - 1}
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[start:stop]
        kept.update((start + int(part.argmin()), start + int(part.argmax())))
    return np.array(sorted(kept), dtype=np.int64)


def places_to_draw(columns: Iterable[Sequence[float] | FloatArray], points: int) -> IntArray:
    """Answer the indices, ascending, of about `points` values, the same for all columns.

    The lowest and highest values of every column stay.
    """
    series = [np.asarray(values, dtype=np.float64) for values in columns]
    share = max(4, points // max(1, len(series)))
    return np.unique(np.concatenate([downsample(values, share) for values in series]))


def thinned(columns: Mapping[str, Sequence[Any]], points: int) -> dict[str, list[Any]]:
    """Answer the columns at about `points` of their places; `time` only comes along."""
    numeric = [values for name, values in columns.items() if name != "time"]
    places = places_to_draw(numeric, points).tolist()
    return {name: [values[place] for place in places] for name, values in columns.items()}
