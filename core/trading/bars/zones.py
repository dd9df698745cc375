"""Wall clocks and instants, a column at a time, by the tz database that Python ships."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from core.trading.bars.instants import to_moment
from core.trading.bars.series import IntArray
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND

_MARGIN = 3 * MICROSECONDS_PER_DAY
_STEP_SECONDS = 43_200


@dataclass(frozen=True, slots=True)
class Zone:
    """A timezone over a span of time: offsets from UTC, in microseconds, between the switches.

    `switches`: int64[k], the instants at which the offset changes; `offsets`: int64[k + 1].
    """

    name: str
    switches: IntArray
    offsets: IntArray

    def to_local(self, instants: IntArray) -> IntArray:
        """Answer the wall clock at each instant, microseconds, int64[n]."""
        local: IntArray = instants + self.offsets[np.searchsorted(self.switches, instants, "right")]
        return local

    def candidates(self, local: IntArray) -> tuple[IntArray, IntArray]:
        """Answer the two instants that each wall clock time may mean, int64[n] each.

        Equal nearly always. Where clocks go back the first is the earlier one. Where they go
        forward and the time does not exist, the first is the *later* one, so that
        `first > second` tells the time that never was.
        """
        early = np.searchsorted(self.switches + self.offsets[:-1], local, "right")
        late = np.searchsorted(self.switches + self.offsets[1:], local, "right")
        forward = early > late
        first = local - self.offsets[early]
        second = local - self.offsets[late]
        return np.where(forward, second, first), np.where(forward, first, second)

    def day_starts(self, days: IntArray) -> IntArray:
        """Answer the first instant of each local day, given in days since 1970-01-01.

        Midnight; where clocks skip it, the switch; where it comes twice, the first.
        """
        midnight = days * MICROSECONDS_PER_DAY
        first, second = self.candidates(midnight)
        skipped = first > second
        if not len(self.switches):
            return first
        index = np.clip(np.searchsorted(self.switches, second, "right"), 0, len(self.switches) - 1)
        starts: IntArray = np.where(skipped, self.switches[index], first)
        return starts


def load_zone(name: str, first: int, last: int) -> Zone | None:
    """Answer that timezone around two instants in microseconds; None where none has the name."""
    try:
        zone = ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        return None
    start = (first - _MARGIN) // MICROSECONDS_PER_SECOND
    end = (last + _MARGIN) // MICROSECONDS_PER_SECOND
    switches: list[int] = []
    offsets = [_offset_seconds(zone, start)]
    for moment in range(start, end, _STEP_SECONDS):
        after = _offset_seconds(zone, moment + _STEP_SECONDS)
        if after != offsets[-1]:
            switches.append(_switch(zone, moment, moment + _STEP_SECONDS))
            offsets.append(after)
    return Zone(
        name,
        np.array(switches, dtype=np.int64) * MICROSECONDS_PER_SECOND,
        np.array(offsets, dtype=np.int64) * MICROSECONDS_PER_SECOND,
    )


@dataclass(frozen=True, slots=True)
class LocalTimes:
    """What a column of wall clock times means.

    `instants`: int64[n]; `nonexistent`, `ambiguous`: the indexes that have no safe answer.
    """

    instants: IntArray
    nonexistent: IntArray
    ambiguous: IntArray


def resolve_local(zone: Zone, local: IntArray) -> LocalTimes:
    """Turn wall clock times, in the order of the file, into instants.

    A time that the clocks skipped is left to the caller. A time that came twice is resolved by
    the file's order where that is certain: among neighbouring rows in the doubled hour the clock
    steps back (or stands still) exactly once; what stands before is the first pass, what stands
    after the second. Where it does not step back, one pass is missing and nobody can say which.
    """
    first, second = zone.candidates(local)
    doubtful = np.flatnonzero(second > first)
    instants = first.copy()
    ambiguous: list[NDArray[np.int64]] = []
    for block in np.split(doubtful, np.flatnonzero(np.diff(doubtful) > 1) + 1):
        if len(block):
            back = np.flatnonzero(np.diff(local[block]) <= 0)
            if len(back) == 1:
                instants[block[back[0] + 1 :]] = second[block[back[0] + 1 :]]
            else:
                ambiguous.append(block)
    none = np.empty(0, dtype=np.int64)
    return LocalTimes(
        instants, np.flatnonzero(first > second), np.concatenate(ambiguous) if ambiguous else none
    )


def _offset_seconds(zone: ZoneInfo, moment: int) -> int:
    offset = to_moment(moment * MICROSECONDS_PER_SECOND).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _switch(zone: ZoneInfo, before: int, after: int) -> int:
    """Answer the first second of the new offset by halving the span."""
    old = _offset_seconds(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset_seconds(zone, middle) == old:
            before = middle
        else:
            after = middle
    return after
