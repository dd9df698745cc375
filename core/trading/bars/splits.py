"""Jumps over a closed market: splits that were not adjusted for, told from crashes.

A split leaves three marks: the open stands to the close before as two small whole numbers
(2:1, 3:2, 1:10); the market does not mind, so that the volume, in shares of the old size, is an
ordinary day's; and the new level holds to the close. A crash misses the ratio, or trades many
times the usual volume. AAPL, as quoted: 2000-06-21 opened at 0.499 and 2005-02-28 at 0.502 of
the close before on 0.7 and 0.3 times the usual volume (splits); 2000-09-29 at 0.527 on 22 times
(a profit warning).
"""

from dataclasses import dataclass

import numpy as np

from core.trading.bars.series import Bars, FloatArray, IntArray
from core.trading.bars.timeframes import Timeframe

_RATIOS = ((3, 2), *((new, 1) for new in (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50, 100)))
_NEAR = 0.03
_HOLDS = 0.20
_LARGE = 0.25
_USUAL_BARS = 20
_CRASH_VOLUME = 5.0


@dataclass(frozen=True, slots=True)
class Jump:
    """A large move from one bar's close to the next one's open.

    `at`: the index of the later bar; `factor`: its open / the close before; `ratio`: such as
    `2:1` (new shares for old) where a split is suspected, None for a move of the market;
    `volume_factor`: its volume, in shares of the old size, / the median of the 20 bars before,
    None where there is none.
    """

    at: int
    factor: float
    ratio: str | None
    volume_factor: float | None


def find_jumps(bars: Bars) -> tuple[Jump, ...]:
    """Answer the overnight moves of more than 25 %, up or down, oldest first.

    Bars of less than a day are compared only where time was left out between them.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = bars.open[1:] / bars.close[:-1]
        large = (np.abs(factors - 1) > _LARGE) | (np.abs(1 / factors - 1) > _LARGE)
    if bars.timeframe not in (Timeframe.D1, Timeframe.W1):
        large &= np.diff(bars.stamps) > bars.timeframe.microseconds
    places: IntArray = np.flatnonzero(large) + 1
    return tuple(_judge(bars, int(at), factors) for at in places)


def _judge(bars: Bars, at: int, factors: FloatArray) -> Jump:
    factor = float(factors[at - 1])
    usual = float(np.median(bars.volume[max(0, at - _USUAL_BARS) : at]))
    volume = float(bars.volume[at]) / usual if usual > 0 else None
    ratio = _nearest(factor)
    if ratio is None:
        return Jump(at, factor, None, volume)
    new, old = ratio
    of_old_size = volume * old / new if volume is not None else None
    held = abs(float(bars.close[at]) / float(bars.close[at - 1]) * new / old - 1) <= _HOLDS
    crash = of_old_size is not None and of_old_size > _CRASH_VOLUME
    return Jump(at, factor, f"{new}:{old}" if held and not crash else None, of_old_size)


def _nearest(factor: float) -> tuple[int, int] | None:
    """Answer (new, old) shares of the split whose factor is within 3 %, None where none is."""
    both = (*_RATIOS, *((old, new) for new, old in _RATIOS))
    best = min(both, key=lambda ratio: abs(factor * ratio[0] / ratio[1] - 1))
    return best if abs(factor * best[0] / best[1] - 1) <= _NEAR else None
