"""Stamps as a wall clock of a timezone shows them, for millions of bars at once.

UTC offsets are asked from the tz database only around their switches. All times are microseconds:
stamps since the Unix epoch in UTC, wall times since 1970-01-01 00:00 on the zone's own clock.
"""

from functools import cached_property, lru_cache

import numpy as np
from numba import njit

from core.trading.bars.series import IntArray
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND
from core.trading.bars.zones import Zone, load_zone

MICROSECONDS_PER_HOUR = 3_600 * MICROSECONDS_PER_SECOND
MONDAY_OF_THE_EPOCH = 3
_FIRST_DAY = -719_150  # some days after those that Python's calendar begins and ends with
_LAST_DAY = 2_932_890


class WallClock:
    """The instants of bars on a wall clock: of each stamp less one microsecond.

    Each reading is computed when it is asked for, and once: most strategies need the day alone.
    `stamps`: int64[n], increasing.
    """

    def __init__(self, stamps: IntArray, timezone: str) -> None:
        self._stamps = np.require(stamps, np.int64, ["C", "W"])
        self._timezone = timezone

    @cached_property
    def _instants(self) -> IntArray:
        return self._stamps - 1

    @cached_property
    def offset(self) -> IntArray:
        """int64[n]: microseconds east of UTC."""
        return offsets_at(self._instants, self._timezone)

    @cached_property
    def _wall(self) -> IntArray:
        return self._instants if self._timezone == "UTC" else self._instants + self.offset

    @cached_property
    def day(self) -> IntArray:
        """int64[n]: days since 1970-01-01, never falling."""
        if self._timezone == "UTC":
            return _days_reached(self._stamps, 1)
        return _days_reached(self._wall, 0)

    @cached_property
    def time(self) -> IntArray:
        """int64[n]: microseconds since midnight."""
        time: IntArray = self._wall % MICROSECONDS_PER_DAY
        return time

    @property
    def weekday(self) -> IntArray:
        """The day of the week, Monday 0."""
        return (self.day + MONDAY_OF_THE_EPOCH) % 7

    @property
    def hour(self) -> IntArray:
        """The hour, 0 to 23."""
        return self.time // MICROSECONDS_PER_HOUR


@njit(nogil=True, cache=True)
def _days_reached(wall: IntArray, less: int) -> IntArray:
    """Answer the day of each wall time less so much, never one before a day already reached."""
    out = np.empty(len(wall), np.int64)
    day, ends = 0, -(2**63)
    for t in range(len(wall)):
        if wall[t] - less >= ends:
            day = (wall[t] - less) // MICROSECONDS_PER_DAY
            ends = (day + 1) * MICROSECONDS_PER_DAY
        out[t] = day
    return out


def offsets_at(instants: IntArray, timezone: str) -> IntArray:
    """Answer the UTC offset at each instant (int64[n], increasing), microseconds east."""
    offset = np.zeros(len(instants), np.int64)
    if timezone == "UTC" or not len(instants):
        return offset
    first = max(int(instants[0] // MICROSECONDS_PER_DAY), _FIRST_DAY)
    last = min(int(instants[-1] // MICROSECONDS_PER_DAY) + 1, _LAST_DAY)
    zone = _zone(timezone, first, last)
    edges = [0, *np.searchsorted(instants, zone.switches).tolist(), len(instants)]
    for value, start, stop in zip(zone.offsets, edges[:-1], edges[1:], strict=True):
        offset[start:stop] = value
    return offset


@lru_cache(maxsize=256)
def _zone(timezone: str, first: int, last: int) -> Zone:
    zone = load_zone(timezone, first * MICROSECONDS_PER_DAY, last * MICROSECONDS_PER_DAY)
    if zone is None:
        raise ValueError(f"there is no timezone {timezone}")
    return zone
