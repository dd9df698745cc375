"""From the times of a file to the stamps of bars: each bar's close, UTC."""

from dataclasses import dataclass

import numpy as np

from core.trading.bars.faults import FileFaults
from core.trading.bars.rhythm import check_clock_rhythm, check_day_rhythm
from core.trading.bars.series import FlagArray, IntArray
from core.trading.bars.time_texts import TimeForm
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, Timeframe
from core.trading.bars.zones import Zone, load_zone, resolve_local

_DAYS = {Timeframe.D1: 1, Timeframe.W1: 7}
_OFFSET_HINT = "Write the times with an offset (2024-01-31T09:30:00-05:00) or as epoch seconds."


@dataclass(frozen=True, slots=True)
class Clock:
    """What the caller said about a file's times.

    `timezone`: an IANA name or None; `stamp`: `open` or `close`, what the file stamps; `now`:
    microseconds UTC; `dates_at_midnight`: the file cannot write a date without a time (Parquet
    from pandas), so midnights without an offset are dates where no timezone is given.
    """

    timeframe: Timeframe
    timezone: str | None
    stamp: str
    now: int
    dates_at_midnight: bool = False


@dataclass(frozen=True, slots=True)
class Stamped:
    """`stamps`: int64[n], closes in microseconds UTC; `label_offset` as in `Bars`."""

    stamps: IntArray
    label_offset: int
    form: TimeForm


@dataclass(frozen=True, slots=True)
class _Written:
    """The readable times: `micros`: int64[m] as written; `rows`: int64[m], where they stand."""

    micros: IntArray
    rows: IntArray
    form: TimeForm


def stamp_bars(
    micros: IntArray, forms: FlagArray, clock: Clock, faults: FileFaults
) -> Stamped | None:
    """Turn the times as written into closes; None where a fault makes that impossible.

    `micros`, `forms`: as `parse_times` answers. A timed bar of less than a day closes one
    timeframe after its open. A date D of daily bars closes at D+1 00:00 UTC; of weekly bars at
    D+7 where D is the first day (`open`), D+1 where it is the last. A timed daily or weekly bar
    opens at midnight of the timezone (UTC where none is given and the times carry an offset) and
    closes at the local midnight a day or a week later, which may be 23 or 25 hours.
    """
    form = _common_form(forms, faults)
    if form is None:
        return None
    readable = np.flatnonzero(forms == form)
    written = _Written(micros[readable], readable, form)
    close = _close_dates if form.is_date or _is_dates(written, clock) else _close_times
    stamped = close(written, clock, faults)
    if stamped is None:
        return None
    closes, offset = stamped
    _check_order(closes, readable, faults)
    late = readable[closes > clock.now + clock.timeframe.microseconds]
    faults.add_rows(
        "future_time",
        late,
        f"its bar closes after {_shown(clock.now)}, which is now.",
        hint="Check the timezone, and that days and months are not swapped.",
    )
    return Stamped(closes, offset, form)


def _common_form(forms: FlagArray, faults: FileFaults) -> TimeForm | None:
    """Answer the form of most rows; rows of another are faults."""
    counts = np.bincount(forms[forms != TimeForm.UNREADABLE], minlength=1)
    if not counts.any():
        return None
    form = TimeForm(int(counts.argmax()))
    other = np.flatnonzero((forms != form) & (forms != TimeForm.UNREADABLE))
    faults.add_rows(
        "mixed_time_forms",
        other,
        lambda row: f"it has {TimeForm(int(forms[row])).described}, most have {form.described}.",
        hint="Write the times of one file in one form.",
    )
    return form


def _is_dates(written: _Written, clock: Clock) -> bool:
    return (
        clock.dates_at_midnight
        and clock.timezone is None
        and clock.timeframe in _DAYS
        and written.form.is_local
        and not (written.micros % MICROSECONDS_PER_DAY).any()
    )


def _close_dates(
    written: _Written, clock: Clock, faults: FileFaults
) -> tuple[IntArray, int] | None:
    if clock.timeframe not in _DAYS:
        faults.add(
            "/row/1",
            "bad_timeframe",
            f"The rows have dates and no time of day, which does not fit {clock.timeframe.label}.",
            "Say 1d or 1w, or give a file with times.",
        )
        return None
    check_day_rhythm(written.micros // MICROSECONDS_PER_DAY, written.rows, clock.timeframe, faults)
    days = _DAYS[clock.timeframe] if clock.stamp == "open" else 1
    offset = days * MICROSECONDS_PER_DAY
    return written.micros + offset, offset


def _close_times(
    written: _Written, clock: Clock, faults: FileFaults
) -> tuple[IntArray, int] | None:
    if written.form.is_local and clock.timezone is None:
        faults.add(
            f"/row/{written.rows[0] + 1}",
            "naive_time",
            "The times have no offset from UTC, and no timezone was given.",
            "Give the timezone that they are in: --timezone Europe/Berlin on the command line, "
            "`timezone` in the API. Rows with only a date need none.",
        )
        return None
    name = "UTC" if clock.timezone is None else clock.timezone
    zone = load_zone(name, int(written.micros.min()), int(written.micros.max()))
    if zone is None:
        faults.add(
            "/timezone",
            "unknown_timezone",
            f"There is no timezone {clock.timezone!r}.",
            "Give an IANA name such as Europe/Berlin, America/New_York or UTC.",
        )
        return None
    if clock.timeframe in _DAYS:
        return _close_days(written, clock, zone, faults)
    instants = _to_instants(zone, written, faults)
    if instants is None:
        return None
    check_clock_rhythm(instants, written.rows, clock.timeframe, faults)
    later = clock.timeframe.microseconds if clock.stamp == "open" else 0
    return instants + later, 0


def _to_instants(zone: Zone, written: _Written, faults: FileFaults) -> IntArray | None:
    if not written.form.is_local:
        return written.micros
    local = resolve_local(zone, written.micros)
    faults.add_rows(
        "nonexistent_time",
        written.rows[local.nonexistent],
        f"the clocks of {zone.name} skip this time.",
        hint="Check the timezone. " + _OFFSET_HINT,
    )
    faults.add_rows(
        "ambiguous_time",
        written.rows[local.ambiguous],
        (
            f"the clocks of {zone.name} show this time twice, and the order of the rows "
            "does not tell which is meant."
        ),
        hint=_OFFSET_HINT,
    )
    safe = not len(local.nonexistent) and not len(local.ambiguous)
    return local.instants if safe else None


def _close_days(
    written: _Written, clock: Clock, zone: Zone, faults: FileFaults
) -> tuple[IntArray, int] | None:
    is_local, rows = written.form.is_local, written.rows
    local = written.micros if is_local else zone.to_local(written.micros)
    if clock.stamp == "close":
        days = (local - 1) // MICROSECONDS_PER_DAY
        instants = _to_instants(zone, written, faults)
        if instants is None or not check_day_rhythm(days, rows, clock.timeframe, faults):
            return None
        faults.add_rows(
            "bad_timeframe",
            rows[1:][(np.diff(days) == 0) & (np.diff(instants) != 0)],
            f"it is the second {clock.timeframe.label} bar of its day.",
            hint="Give the timezone whose days the bars are.",
        )
        return instants, 0
    days = local // MICROSECONDS_PER_DAY
    midnight = days * MICROSECONDS_PER_DAY if is_local else zone.day_starts(days)
    if not check_day_rhythm(days, rows, clock.timeframe, faults):
        return None
    faults.add_rows(
        "bad_timeframe",
        rows[written.micros != midnight],
        f"a {clock.timeframe.label} bar opens at midnight, and not so this one in {zone.name}.",
        hint="Give the timezone in which they open at midnight, or write dates only.",
    )
    return zone.day_starts(days + _DAYS[clock.timeframe]), 0


def _check_order(closes: IntArray, rows: IntArray, faults: FileFaults) -> None:
    steps = np.diff(closes)
    if len(steps) and (steps < 0).all():
        faults.add(
            "",
            "order",
            "The rows run from the newest to the oldest.",
            "Sort the file by time, oldest first.",
        )
        return
    same = np.flatnonzero(steps == 0) + 1
    faults.add_rows(
        "duplicate_time",
        rows[same],
        "it has the time of the row before.",
        hint="Keep one row per bar.",
    )
    back = closes < np.maximum.accumulate(closes)
    faults.add_rows(
        "order",
        rows[back],
        "its time is before that of a row above.",
        hint="Sort the file by time, oldest first.",
    )


def _shown(micros: int) -> str:
    return f"{np.datetime64(micros, 'us').astype('datetime64[s]')}Z"
