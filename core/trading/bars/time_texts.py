"""Times that are written as text, a batch at a time.

Texts of one length and one pattern of digits are read together as a matrix of bytes, so that a
million rows cost a few numpy operations; what a pattern means is decided once, from its first
row.
"""

import re
from collections.abc import Iterator
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.trading.bars.series import FlagArray, IntArray
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND

LONGEST_TIME = 40
_PATTERNS_PER_BATCH = 64
_FIRST_YEAR, _LAST_YEAR = 1800, 2199
_FIRST_SECOND, _LAST_SECOND = -5_364_662_400, 7_258_118_400
FIRST_MICROS = _FIRST_SECOND * MICROSECONDS_PER_SECOND
END_MICROS = _LAST_SECOND * MICROSECONDS_PER_SECOND
_LAST_DATE_NUMBER, _FIRST_DATE_NUMBER = 2199_12_31, 1900_01_01
_DAYS = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)
_FEBRUARY, _LAST_HOUR, _LAST_MINUTE, _LAST_OFFSET_HOUR = 2, 23, 59, 15
_ZERO, _NINE = ord("0"), ord("9")

_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
_OFFSET = r"(?P<offset>Z|z| ?[+-]\d\d(?::?\d\d)?)"
_TIME_OF_DAY = re.compile(
    rf"(?:(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d)(?:[Tt ]{_CLOCK}{_OFFSET}?)?)"
)
_BASIC = re.compile(
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    rf"(?:[Tt](?P<hour>\d\d)(?P<minute>\d\d)"
    rf"(?:(?P<second>\d\d)(?:[.,](?P<fraction>\d{{1,9}}))?)?{_OFFSET}?)?"
)
_DOTTED = re.compile(rf"(?P<day>\d\d)\.(?P<month>\d\d)\.(?P<year>\d{{4}})(?: {_CLOCK})?")
_NUMBER = re.compile(r"(?P<sign>-?)(?P<whole>\d{1,19})(?:\.(?P<fraction>\d{1,9}))?")

_Bytes = NDArray[np.uint8]


class TimeForm(IntEnum):
    """How a file writes its times; a file keeps to one."""

    UNREADABLE = 0
    DATE = 1
    BASIC_DATE = 2
    DOTTED_DATE = 3
    LOCAL = 4
    OFFSET = 5
    DOTTED = 6
    EPOCH_S = 7
    EPOCH_MS = 8
    EPOCH_US = 9
    EPOCH_NS = 10

    @property
    def is_date(self) -> bool:
        """Whether there is only a date."""
        return self in (TimeForm.DATE, TimeForm.BASIC_DATE, TimeForm.DOTTED_DATE)

    @property
    def is_local(self) -> bool:
        """Whether it is a wall clock's time, which means an instant only in a timezone."""
        return self in (TimeForm.LOCAL, TimeForm.DOTTED)

    @property
    def described(self) -> str:
        """The form in words."""
        return _WORDS[self]


_WORDS = {
    TimeForm.UNREADABLE: "unreadable",
    TimeForm.DATE: "ISO dates",
    TimeForm.BASIC_DATE: "dates YYYYMMDD",
    TimeForm.DOTTED_DATE: "dates DD.MM.YYYY",
    TimeForm.LOCAL: "ISO times without an offset",
    TimeForm.OFFSET: "ISO times with an offset",
    TimeForm.DOTTED: "times DD.MM.YYYY HH:MM:SS",
    TimeForm.EPOCH_S: "epoch seconds",
    TimeForm.EPOCH_MS: "epoch milliseconds",
    TimeForm.EPOCH_US: "epoch microseconds",
    TimeForm.EPOCH_NS: "epoch nanoseconds",
}


def parse_times(texts: pa.StringArray) -> tuple[IntArray, FlagArray]:
    """Read a batch of texts as times.

    Answers microseconds since 1970-01-01 00:00, int64[n], of UTC where the text says so and of
    the unnamed wall clock otherwise, and each row's `TimeForm`, int8[n]; the first is 0 where
    the form is UNREADABLE. Seconds or milliseconds (also micro- and nanoseconds) since the epoch
    are told by magnitude: the unit that puts the time before the year 2200. Eight digits that
    are a date from 1900 on are a date.
    """
    trimmed = pc.ascii_trim_whitespace(texts)
    micros = np.zeros(len(trimmed), dtype=np.int64)
    forms = np.zeros(len(trimmed), dtype=np.int8)
    for rows, letters in _by_length(trimmed):
        left = np.arange(len(rows))
        for _ in range(_PATTERNS_PER_BATCH):
            if not len(left):
                break
            alike = _alike(letters[left])
            chosen = left[alike]
            micros[rows[chosen]], forms[rows[chosen]] = _parse_alike(letters[chosen])
            left = left[~alike]
    micros[forms == TimeForm.UNREADABLE] = 0
    return micros, forms


def days_from_civil(year: IntArray, month: IntArray, day: IntArray) -> IntArray:
    """Answer days since 1970-01-01 of dates of the Gregorian calendar."""
    months = (year - 1970) * 12 + month - 1
    starts = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    days: IntArray = starts + day - 1
    return days


def _by_length(texts: pa.StringArray) -> Iterator[tuple[IntArray, _Bytes]]:
    """Yield the rows of each length, and their letters, uint8[rows, length]."""
    lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    _, offset_buffer, value_buffer = texts.buffers()
    if value_buffer is None or not value_buffer.size:
        return
    offsets = np.frombuffer(offset_buffer, dtype=np.int32)[texts.offset :][: len(texts)]
    values = np.frombuffer(value_buffer, dtype=np.uint8)
    for length in np.unique(lengths):
        if 0 < length <= LONGEST_TIME:
            rows = np.flatnonzero(lengths == length)
            starts = offsets[rows].astype(np.int64)
            yield rows, values[starts[:, None] + np.arange(length)]


def _alike(letters: _Bytes) -> NDArray[np.bool_]:
    """Answer which rows have digits where the first has digits and else its letters, bool[n]."""
    digit = (letters >= _ZERO) & (letters <= _NINE)
    sign = (letters == ord("+")) | (letters == ord("-"))
    offset_sign = sign[0] & (np.arange(letters.shape[1]) >= len("2024-01-01T"))
    same = np.where(digit[0], digit, np.where(offset_sign, sign, letters == letters[0]))
    alike = np.all(same, axis=1)
    return np.asarray(alike)


def _parse_alike(letters: _Bytes) -> tuple[IntArray, IntArray]:
    sample = letters[0].tobytes().decode("latin-1")
    for pattern, date, timed in (
        (_TIME_OF_DAY, TimeForm.DATE, TimeForm.LOCAL),
        (_DOTTED, TimeForm.DOTTED_DATE, TimeForm.DOTTED),
        (_BASIC, TimeForm.BASIC_DATE, TimeForm.LOCAL),
    ):
        match = pattern.fullmatch(sample)
        if match and not (pattern is _BASIC and match["hour"] is None):
            return _calendar(letters, match, date, timed)
    match = _NUMBER.fullmatch(sample)
    if match:
        return _number(letters, match)
    return np.zeros(len(letters), np.int64), np.zeros(len(letters), np.int64)


def _digits(letters: _Bytes, span: tuple[int, int]) -> IntArray:
    """Answer the whole number that stands in those columns, 0 where the span is empty."""
    value = np.zeros(len(letters), dtype=np.int64)
    for column in range(*span):
        value = value * 10 + (letters[:, column].astype(np.int64) - _ZERO)
    return value


def _calendar(
    letters: _Bytes, match: re.Match[str], date: TimeForm, timed: TimeForm
) -> tuple[IntArray, IntArray]:
    groups = match.re.groupindex

    def part(name: str) -> IntArray:
        return _digits(letters, match.span(name) if name in groups and match[name] else (0, 0))

    year, month, day = part("year"), part("month"), part("day")
    hour, minute, second = part("hour"), part("minute"), part("second")
    micros, whole = _fraction(letters, match, places=6)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    safe_month = np.clip(month, 1, 12)
    longest = _DAYS[safe_month - 1] - ((safe_month == _FEBRUARY) & ~leap)
    valid = (month == safe_month) & (day >= 1) & (day <= longest) & whole
    valid &= (hour <= _LAST_HOUR) & (minute <= _LAST_MINUTE) & (second <= _LAST_MINUTE)
    valid &= (year >= _FIRST_YEAR) & (year <= _LAST_YEAR)
    micros += days_from_civil(np.where(valid, year, 1970), safe_month, day) * MICROSECONDS_PER_DAY
    micros += (hour * 3600 + minute * 60 + second) * MICROSECONDS_PER_SECOND
    form = date if match["hour"] is None else timed
    if "offset" in groups and match["offset"]:
        form = TimeForm.OFFSET
        away, sane = _offset(letters, match)
        micros, valid = micros - away, valid & sane
    return micros, np.where(valid, int(form), int(TimeForm.UNREADABLE))


def _fraction(
    letters: _Bytes, match: re.Match[str], *, places: int
) -> tuple[IntArray, NDArray[np.bool_]]:
    """Answer the fraction in units of 10^-places, and whether nothing finer was written."""
    if not match["fraction"]:
        return np.zeros(len(letters), np.int64), np.ones(len(letters), np.bool_)
    start, end = match.span("fraction")
    kept = min(end, start + places)
    value = _digits(letters, (start, kept)) * 10 ** (places - (kept - start))
    return value, _digits(letters, (kept, end)) == 0


def _offset(letters: _Bytes, match: re.Match[str]) -> tuple[IntArray, NDArray[np.bool_]]:
    """Answer the offset from UTC in microseconds, and whether it is one that exists."""
    text = match["offset"]
    if text in ("Z", "z"):
        return np.zeros(len(letters), np.int64), np.ones(len(letters), np.bool_)
    start = match.start("offset") + len(text) - len(text.lstrip())
    hours = _digits(letters, (start + 1, start + 3))
    end = match.end("offset")
    minutes = _digits(letters, (end - 2, end) if end - start > len("+00") else (0, 0))
    negative = letters[:, start] == ord("-")
    micros = (hours * 3600 + minutes * 60) * MICROSECONDS_PER_SECOND
    return np.where(negative, -micros, micros), (hours <= _LAST_OFFSET_HOUR) & (
        minutes <= _LAST_MINUTE
    )


def _number(letters: _Bytes, match: re.Match[str]) -> tuple[IntArray, IntArray]:
    """Read eight digits that make a date as one, other numbers as time since the epoch."""
    whole = _digits(letters, match.span("whole"))
    if letters.shape[1] == len("20240101") and not match["sign"] and not match["fraction"]:
        basic = _BASIC.fullmatch(match.string)
        if basic is not None and _FIRST_DATE_NUMBER <= whole[0] <= _LAST_DATE_NUMBER:
            return _calendar(letters, basic, TimeForm.BASIC_DATE, TimeForm.LOCAL)
    return _epoch(letters, match, whole)


def _epoch(letters: _Bytes, match: re.Match[str], whole: IntArray) -> tuple[IntArray, IntArray]:
    """Read time since the epoch, each row in the unit that puts it before the year 2200."""
    micros = np.zeros(len(letters), dtype=np.int64)
    forms = np.zeros(len(letters), dtype=np.int64)
    sign = -1 if match["sign"] else 1
    below = 0
    for form, places in (
        (TimeForm.EPOCH_S, 6),
        (TimeForm.EPOCH_MS, 3),
        (TimeForm.EPOCH_US, 0),
    ):
        limit = _LAST_SECOND * 10 ** (6 - places)
        rows = (whole >= below) & (whole < limit)
        fraction, exact = _fraction(letters, match, places=places)
        micros = np.where(rows, sign * (whole * 10**places + fraction), micros)
        forms = np.where(rows & exact, int(form), forms)
        below = limit
    rows = (whole >= below) & (whole % 1000 == 0) & (not match["fraction"])
    micros = np.where(rows, sign * (whole // 1000), micros)
    forms = np.where(rows, int(TimeForm.EPOCH_NS), forms)
    too_early = micros < FIRST_MICROS
    return micros, np.where(too_early, int(TimeForm.UNREADABLE), forms)
