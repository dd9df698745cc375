"""Which bars a run trades, and how bars are named in its result."""

from collections.abc import Sequence

import numpy as np

from core.trading.backtest.settings import Settings, barless, stamp_limits
from core.trading.bars.labels import bar_label
from core.trading.bars.series import Bars

_PER_SECOND = 1_000_000


def traded_range(bars: Bars, settings: Settings) -> tuple[int, int]:
    """Answer the traded bars [first, stop) of `Settings.start` and `Settings.end`.

    Raises InvalidInputError with code bad_range where no bar lies in it.
    """
    after, last = stamp_limits(settings, bars.label_offset)
    first, stop = 0, len(bars)
    if after is not None:
        first = int(np.searchsorted(bars.stamps, after, side="right"))
    if last is not None:
        stop = int(np.searchsorted(bars.stamps, last, side="right"))
    if first >= stop:
        raise barless(_extent(bars))
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


def _extent(bars: Bars) -> str:
    if len(bars) == 0:
        return "there are no bars at all"
    return f"the bars go from {bar_label(bars, 0)} to {bar_label(bars, len(bars) - 1)}"
