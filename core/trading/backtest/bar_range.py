"""Which bars a run trades, and how bars are named in its result."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np

from core.errors import Fault, InvalidInputError
from core.trading.backtest.settings import Settings
from core.trading.bars.instants import to_micros
from core.trading.bars.labels import bar_label
from core.trading.bars.series import Bars

_PER_SECOND = 1_000_000


def traded_range(bars: Bars, settings: Settings) -> tuple[int, int]:
    """Answer the traded bars [first, stop) of `Settings.start` and `Settings.end`.

    Raises InvalidInputError with code bad_range where no bar lies in it.
    """
    first, stop = 0, len(bars)
    if settings.start is not None:
        first = int(np.searchsorted(bars.stamps, _begin(settings.start, bars), side="right"))
    if settings.end is not None:
        stop = int(np.searchsorted(bars.stamps, _end(settings.end, bars), side="right"))
    if first >= stop:
        fault = Fault(
            path="/from",
            code="bad_range",
            message="there is no bar in the range",
            hint=_extent(bars),
        )
        raise InvalidInputError("The range holds no bars.", errors=[fault])
    return first, stop


def bar_labels(bars: Bars, indices: Sequence[int]) -> list[str]:
    """Answer how each bar is shown (`core.trading.bars.labels.bar_label`), many at a time."""
    stamps = bars.stamps[np.asarray(indices, dtype=np.int64)]
    if bars.label_offset:
        dates = (stamps - bars.label_offset).astype("datetime64[us]").astype("datetime64[D]")
        days: list[str] = np.datetime_as_string(dates).tolist()
        return days
    if np.any(stamps % _PER_SECOND):
        return [bar_label(bars, index) for index in indices]
    seconds = (stamps // _PER_SECOND).astype("datetime64[s]")
    moments: list[str] = np.datetime_as_string(seconds, timezone="UTC").tolist()
    return moments


def _begin(moment: date | datetime, bars: Bars) -> int:
    if isinstance(moment, datetime):
        return to_micros(moment)
    midnight = to_micros(datetime(moment.year, moment.month, moment.day, tzinfo=UTC))
    return midnight + bars.label_offset - 1 if bars.label_offset else midnight


def _end(moment: date | datetime, bars: Bars) -> int:
    if isinstance(moment, datetime):
        return to_micros(moment)
    midnight = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if bars.label_offset:
        return to_micros(midnight) + bars.label_offset
    return to_micros(midnight + timedelta(days=1))


def _extent(bars: Bars) -> str:
    if len(bars) == 0:
        return "there are no bars at all"
    return f"the bars go from {bar_label(bars, 0)} to {bar_label(bars, len(bars) - 1)}"
