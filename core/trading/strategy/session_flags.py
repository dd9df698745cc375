"""The session of a strategy over bars: which are inside, which begin it, which end it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.trading.bars.series import FlagArray, IntArray
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY
from core.trading.strategy.rules import SessionRule
from core.trading.strategy.wall_clock import MONDAY_OF_THE_EPOCH, WallClock

_DAYS = 7


@dataclass(frozen=True, slots=True)
class SessionFlags:
    """Flags as `Signals` describes them; `always`: every bar is inside.

    `start` and `close` are 0 unless the rule is flat at the close, which alone reads them.
    """

    inside: FlagArray
    start: FlagArray
    close: FlagArray
    always: bool


def within(clock: WallClock, start: int, end: int) -> NDArray[np.bool_]:
    """Say for each bar whether from < stamp <= to; over midnight where start is after end."""
    if start < end:
        return (clock.time >= start) & (clock.time < end)
    return (clock.time >= start) | (clock.time < end)


def flag_session(clock: WallClock, rule: SessionRule) -> SessionFlags:
    """Compute the flags of a session; over midnight it belongs to the day it began on."""
    none = np.zeros(1, np.int8)
    always = rule.start == 0 and rule.end == MICROSECONDS_PER_DAY and len(rule.days) == _DAYS
    if always and not rule.flat_at_close:
        return SessionFlags(np.ones(1, np.int8), none, none, always)
    n = len(clock.day)
    session_day = clock.day
    if rule.start > rule.end:
        session_day = clock.day - (clock.time < rule.end)
    inside = np.ones(n, np.bool_) if always else within(clock, rule.start, rule.end)
    if len(rule.days) < _DAYS:
        weekday = (session_day + MONDAY_OF_THE_EPOCH) % _DAYS
        inside &= np.isin(weekday, rule.days)
    if not rule.flat_at_close:
        return SessionFlags(inside.view(np.int8), none, none, always)
    start = np.zeros(n, np.bool_)
    start[_first_of_each(inside, session_day, always=always)] = True
    close = clock.time == rule.end - 1
    if not always:
        close &= inside
    return SessionFlags(inside.view(np.int8), start.view(np.int8), close.view(np.int8), always)


def _first_of_each(
    inside: NDArray[np.bool_], session_day: IntArray, *, always: bool
) -> NDArray[np.intp]:
    days = session_day if always else session_day[inside]
    changes = np.flatnonzero(days[1:] != days[:-1]) + 1
    firsts = np.concatenate((np.zeros(min(len(days), 1), np.intp), changes))
    return firsts if always else np.flatnonzero(inside)[firsts]
