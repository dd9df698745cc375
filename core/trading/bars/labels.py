"""How a bar's time is shown."""

import numpy as np

from core.trading.bars.series import Bars


def bar_label(bars: Bars, index: int) -> str:
    """Answer the date of a bar that came with a date only, else its close, `…T16:00:00Z`."""
    stamp = int(bars.stamps[index])
    if bars.label_offset:
        return str(np.datetime64(stamp - bars.label_offset, "us").astype("datetime64[D]"))
    moment = np.datetime64(stamp, "us")
    return f"{moment.astype('datetime64[s]') if stamp % 1_000_000 == 0 else moment}Z"
