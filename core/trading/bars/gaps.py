"""Bars that are missing, judged by the data's own weekly rhythm.

A week is divided into slots of one timeframe (of one day for daily bars). A bar is expected in a
slot where most of the eight weeks around it (four before, four after, as far as the data go)
have one. So nights, weekends and lunch breaks are no gaps whatever the exchange, nor is an
hour that daylight saving moves; a slot that is empty in half of the weeks around says nothing.
Daily bars that miss one or two sessions in a row are taken for holidays and counted apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.trading.bars.series import Bars, IntArray
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, Timeframe

_WEEKS_AROUND = 4
_FEWEST_WEEKS = 3
_LONGEST_HOLIDAY = 2
_SLOTS_AT_ONCE = 1_024
_THURSDAY_TO_MONDAY = 3


@dataclass(frozen=True, slots=True)
class Gap:
    """`after`: the index of the last bar before it; `missing`: how many bars were expected."""

    after: int
    missing: int


@dataclass(frozen=True, slots=True)
class Gaps:
    """All gaps, oldest first; `holidays`: daily bars' short absences; `learnt`: see `find_gaps`."""

    gaps: tuple[Gap, ...]
    holidays: int
    learnt: bool


def find_gaps(bars: Bars) -> Gaps:
    """Answer the gaps; under three weeks of data no rhythm is learnt and none are found."""
    slots, per_week = _slots(bars)
    first_week, last_week = int(slots[0]) // per_week, int(slots[-1]) // per_week
    if last_week - first_week < _FEWEST_WEEKS:
        return Gaps((), 0, learnt=False)
    missing = _missing(slots - first_week * per_week, per_week)
    after = np.searchsorted(slots - first_week * per_week, missing, "left") - 1
    places, counts = np.unique(after, return_counts=True)
    gaps = [Gap(int(at), int(count)) for at, count in zip(places, counts, strict=True)]
    if bars.timeframe is not Timeframe.D1:
        return Gaps(tuple(gaps), 0, learnt=True)
    long = tuple(gap for gap in gaps if gap.missing > _LONGEST_HOLIDAY)
    return Gaps(long, len(gaps) - len(long), learnt=True)


def _slots(bars: Bars) -> tuple[IntArray, int]:
    """Answer each bar's slot, counted from a Monday before 1970, and how many make a week."""
    length = bars.timeframe.microseconds
    if bars.timeframe is Timeframe.W1:
        days = (bars.stamps - 1) // MICROSECONDS_PER_DAY
        return (days + _THURSDAY_TO_MONDAY) // 7, 1
    monday = _THURSDAY_TO_MONDAY * MICROSECONDS_PER_DAY
    return (bars.stamps - 1 + monday) // length, 7 * MICROSECONDS_PER_DAY // length


def _missing(slots: IntArray, per_week: int) -> IntArray:
    """Answer the slots that are expected and empty, in order."""
    weeks = int(slots[-1]) // per_week + 1
    week, place = slots // per_week, slots % per_week
    found: list[IntArray] = []
    for start in range(0, per_week, _SLOTS_AT_ONCE):
        width = min(_SLOTS_AT_ONCE, per_week - start)
        here = (place >= start) & (place < start + width)
        present = np.zeros((weeks, width), dtype=np.bool_)
        present[week[here], place[here] - start] = True
        number = np.arange(weeks)[:, None] * per_week + start + np.arange(width)
        inside = (number >= slots[0]) & (number <= slots[-1])
        expected = _around(present) * 2 > _around(inside)
        found.append(number[expected & ~present & inside])
    return np.sort(np.concatenate(found))


def _around(flags: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Count the true ones among the weeks around each week, itself left out."""
    weeks = len(flags)
    sums = np.zeros((weeks + 1, flags.shape[1]), dtype=np.int32)
    np.cumsum(flags, axis=0, out=sums[1:])
    first = np.maximum(np.arange(weeks) - _WEEKS_AROUND, 0)
    last = np.minimum(np.arange(weeks) + _WEEKS_AROUND + 1, weeks)
    around: NDArray[np.int32] = sums[last] - sums[first] - flags
    return around
