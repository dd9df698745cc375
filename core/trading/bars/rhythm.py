"""Whether a file's times are those of its timeframe."""

import numpy as np

from core.trading.bars.faults import FileFaults
from core.trading.bars.series import IntArray
from core.trading.bars.timeframes import (
    MICROSECONDS_PER_DAY,
    MICROSECONDS_PER_SECOND,
    Timeframe,
)
from core.wording import in_full

_HOUR = 3_600 * MICROSECONDS_PER_SECOND
_ENOUGH_STEPS = 3
_SHORT_STEPS_PER_CENT = 2
_PHASE_PER_CENT = 2
_SHORTEST_WEEK_DAYS = 4
_STEPS_OF_A_FEW = {Timeframe.D1: (1, 5), Timeframe.W1: (_SHORTEST_WEEK_DAYS, 10)}
_HINT = "Give the file's own timeframe, or a file of the timeframe that you named."


def check_clock_rhythm(
    instants: IntArray, rows: IntArray, timeframe: Timeframe, faults: FileFaults
) -> bool:
    """Check bars of less than a day; answer whether they agree.

    `instants`: int64[n] microseconds UTC as stamped; `rows`: their indexes in the file. The
    most common step must be the timeframe (gaps may be many, so not the mean). A bar less than
    a timeframe after the one before overlaps it. Bars keep to a grid: their remainder by the
    timeframe (by the hour for 4h, whose grid moves with daylight saving) is the common one, or
    one that 2 % of the bars share, because exchanges have moved their hours.
    """
    length = timeframe.microseconds
    steps = np.diff(instants)
    steps = steps[steps > 0]
    if not _step_agrees(steps, length, faults, timeframe):
        return False
    if timeframe is Timeframe.H4:
        _check_overlap(instants, rows, length - _HOUR, timeframe, faults)
        short = np.count_nonzero(steps < length) * 100 > _SHORT_STEPS_PER_CENT * len(steps)
        if short and len(steps) > _ENOUGH_STEPS:
            _check_overlap(instants, rows, length, timeframe, faults)
    else:
        _check_overlap(instants, rows, length, timeframe, faults)
    _check_grid(instants, rows, min(length, _HOUR), timeframe, faults)
    return True


def check_day_rhythm(
    days: IntArray, rows: IntArray, timeframe: Timeframe, faults: FileFaults
) -> bool:
    """Check daily or weekly bars by the days they belong to (since 1970); answer whether right.

    Weeks may be stamped by their last session, so that they are four days apart at least.
    """
    length = timeframe.microseconds // MICROSECONDS_PER_DAY
    steps = np.diff(days)
    if len(days) > 1 and not steps.any():
        steps = np.zeros(1, dtype=np.int64)
    else:
        steps = steps[steps != 0] if timeframe is Timeframe.W1 else steps
    forward = np.abs(steps)
    if not _step_agrees(forward, int(length), faults, timeframe, unit=MICROSECONDS_PER_DAY):
        return False
    if timeframe is Timeframe.W1:
        near = np.flatnonzero((np.diff(days) > 0) & (np.diff(days) < _SHORTEST_WEEK_DAYS)) + 1
        _add_overlap(rows[near], timeframe, faults)
    return True


def describe_length(micros: float) -> str:
    """Answer a length as a timeframe where it is one (`1h`), else in words (`about 7 minutes`)."""
    for timeframe in Timeframe:
        if micros == timeframe.microseconds:
            return timeframe.label
    seconds = micros / MICROSECONDS_PER_SECOND
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            return _about(seconds / size, unit)
    return _about(seconds, "second")


def _about(number: float, unit: str) -> str:
    told = in_full(float(f"{number:.3g}"))
    return f"about {told} {unit}{'' if told == '1' else 's'}"


def _step_agrees(
    steps: IntArray, length: int, faults: FileFaults, timeframe: Timeframe, *, unit: int = 1
) -> bool:
    """Compare the most common step, or of a few rows the shortest, with the timeframe."""
    if not len(steps):
        return True
    sizes, counts = np.unique(steps, return_counts=True)
    common = int(sizes[counts.argmax()])
    if len(steps) < _ENOUGH_STEPS:
        shortest, longest = _STEPS_OF_A_FEW.get(timeframe, (length, length))
        common = length if shortest <= sizes[0] <= longest else int(sizes[0])
    if common == length:
        return True
    looks = describe_length(common * unit) if common else "several bars a day"
    faults.add(
        "",
        "bad_timeframe",
        f"The bars are not {timeframe.label}: the step between most rows is {looks}.",
        _HINT,
    )
    return False


def _check_overlap(
    instants: IntArray, rows: IntArray, shortest: int, timeframe: Timeframe, faults: FileFaults
) -> None:
    steps = np.diff(instants)
    _add_overlap(rows[np.flatnonzero((steps > 0) & (steps < shortest)) + 1], timeframe, faults)


def _add_overlap(rows: IntArray, timeframe: Timeframe, faults: FileFaults) -> None:
    faults.add_rows(
        "bad_timeframe",
        rows,
        f"it comes less than {timeframe.label} after the row before.",
        hint=_HINT,
    )


def _check_grid(
    instants: IntArray, rows: IntArray, grid: int, timeframe: Timeframe, faults: FileFaults
) -> None:
    _, place, counts = np.unique(instants % grid, return_inverse=True, return_counts=True)
    rare = counts * 100 < _PHASE_PER_CENT * len(instants)
    rare[counts.argmax()] = False
    steps = np.diff(instants, prepend=instants[:1] - timeframe.microseconds)
    off = np.flatnonzero(rare[place] & (steps >= timeframe.microseconds))
    faults.add_rows(
        "bad_timeframe",
        rows[off],
        f"its time is off the {timeframe.label} grid that the other rows keep to.",
        hint="A bar's time is that of its start (or end), not of its last trade.",
    )
