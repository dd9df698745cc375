"""Bars of a higher timeframe, made of base bars and seen only once they have ended.

Days begin at midnight and weeks on Monday of the timezone; minutes and hours are counted from
its midnight. Up to an hour, a change of the clock also begins a new bar, so that the hour that
comes twice in autumn stays two bars; a 4h bar of such a night is an hour longer or shorter.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from core.trading.bars.series import Bars, FloatArray, IntArray
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, Timeframe
from core.trading.strategy.wall_clock import (
    MICROSECONDS_PER_HOUR,
    MONDAY_OF_THE_EPOCH,
    WallClock,
    offsets_at,
)


@dataclass(frozen=True, slots=True)
class HigherBars:
    """Bars of a higher timeframe and, for each, when a base bar may look at it.

    `bars`: its columns have length m, stamped by their end. `seen`: int64[m], the number of
    the first base bar whose stamp is not before that end, n where there is none yet.
    `base_length`: n.
    """

    bars: Bars
    seen: IntArray
    base_length: int

    def spread(self, values: FloatArray) -> FloatArray:
        """Spread float64[m] over the base bars: float64[n], NaN until the first is seen."""
        edges = np.concatenate((self.seen, [self.base_length]))
        counts = np.diff(edges)
        out = np.empty(self.base_length)
        start = int(edges[0])
        out[:start] = np.nan
        out[start:] = np.repeat(values, counts)
        return out


def raise_timeframe(
    bars: Bars, clock: WallClock, timeframe: Timeframe, timezone: str
) -> HigherBars:
    """Make bars of a higher timeframe; a first one that began before the data is dropped.

    `clock`: the wall clock of `bars` in that timezone.
    """
    first_day, start_time = _bucket_starts(clock, timeframe)
    by_offset = timeframe.microseconds <= MICROSECONDS_PER_HOUR
    n = len(bars)
    changed = np.zeros(n, np.bool_)
    changed[:1] = True
    changed[1:] = (np.diff(first_day) != 0) | (np.diff(start_time) != 0)
    if by_offset:
        changed[1:] |= np.diff(clock.offset) != 0
    starts = np.flatnonzero(changed)
    wall_start = first_day[starts] * MICROSECONDS_PER_DAY + start_time[starts]
    wall_end = wall_start + _wall_length(timeframe, start_time[starts])
    offset = clock.offset[starts]
    ends = wall_end - offset if by_offset else _instants(wall_end, offset, timezone)
    ends = np.maximum.accumulate(ends) if len(ends) else ends
    prices = (_owned(bars.open), _owned(bars.high), _owned(bars.low), _owned(bars.close))
    first = 1 if n and _began_before(bars, clock, int(wall_start[0])) else 0
    raised = [
        column[first:].copy() for column in _aggregate(starts, (*prices, _owned(bars.volume)))
    ]
    opens, highs, lows, closes, volumes = raised
    whole = Bars(bars.symbol, timeframe, ends[first:], opens, highs, lows, closes, volumes)
    return HigherBars(whole, np.searchsorted(bars.stamps, ends[first:]), n)


def _owned(column: FloatArray) -> FloatArray:
    """Answer the column as compiled code takes it without being compiled again."""
    owned: FloatArray = np.require(column, np.float64, ["C", "W"])
    return owned


def _bucket_starts(clock: WallClock, timeframe: Timeframe) -> tuple[IntArray, IntArray]:
    """Answer the day and the time of day at which the bar around each base bar begins."""
    if timeframe is Timeframe.W1:
        monday = clock.day - (clock.day + MONDAY_OF_THE_EPOCH) % 7
        return monday, np.zeros_like(clock.day)
    if timeframe is Timeframe.D1:
        return clock.day, np.zeros_like(clock.day)
    return clock.day, clock.time - clock.time % timeframe.microseconds


def _wall_length(timeframe: Timeframe, start_time: IntArray) -> IntArray:
    length = np.full(len(start_time), timeframe.microseconds, np.int64)
    if timeframe is Timeframe.W1:
        return length
    return np.minimum(length, MICROSECONDS_PER_DAY - start_time)


def _instants(wall: IntArray, offset: IntArray, timezone: str) -> IntArray:
    """Answer the UTC instants at which stretches of wall time end.

    Of the offsets half a day around, the right one is the one in force just before; where the
    clock shows the time twice, the later instant, because the stretch goes on until then.
    """
    guess = wall - offset
    before = wall - offsets_at(guess - MICROSECONDS_PER_DAY // 2, timezone)
    after = wall - offsets_at(guess + MICROSECONDS_PER_DAY // 2, timezone)
    holds_before = wall - offsets_at(np.maximum.accumulate(before - 1), timezone) == before
    holds_after = wall - offsets_at(np.maximum.accumulate(after - 1), timezone) == after
    chosen = np.where(holds_before, before, after)
    both = holds_before & holds_after
    chosen[both] = np.maximum(before, after)[both]
    neither = ~holds_before & ~holds_after
    chosen[neither] = np.maximum(before, after)[neither]
    return chosen


def _began_before(bars: Bars, clock: WallClock, wall_start: int) -> bool:
    """Say whether the first higher bar began before the first base bar did."""
    first_day_start = int(clock.day[0]) * MICROSECONDS_PER_DAY
    if bars.timeframe is Timeframe.D1:
        return first_day_start > wall_start
    opened = first_day_start + int(clock.time[0]) + 1 - bars.timeframe.microseconds
    return opened > wall_start


@njit(nogil=True, cache=True)
def _aggregate(
    starts: IntArray,
    columns: tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    opens, highs, lows, closes, volumes = columns
    m, n = len(starts), len(opens)
    out_open, out_high, out_low = np.empty(m), np.empty(m), np.empty(m)
    out_close, out_volume = np.empty(m), np.empty(m)
    for j in range(m):
        start = starts[j]
        stop = starts[j + 1] if j + 1 < m else n
        high, low, volume = highs[start], lows[start], 0.0
        for i in range(start, stop):
            high = max(high, highs[i])
            low = min(low, lows[i])
            volume += volumes[i]
        out_open[j], out_high[j], out_low[j] = opens[start], high, low
        out_close[j], out_volume[j] = closes[stop - 1], volume
    return out_open, out_high, out_low, out_close, out_volume
