"""Compound growth as decimal arithmetic rounds it, in compiled code that asks no libm to be right.

Numbers are pairs, a float64 and what it lacks (Dekker 1971): 106 bits. The answer is given only
where its error, generously bounded, cannot change how it rounds; else decimals must be asked.
"""

import math

from core.trading.backtest.jit import compiled

Pair = tuple[float, float]

MICROSECONDS_PER_YEAR = 365.25 * 86_400_000_000.0
_LOG_2 = (0.6931471805599453, 2.3190468138462996e-17)
_SPLIT = 2.0**27 + 1.0
_HALVINGS = 8
_TERMS = 11
_MOST = 2.0**100
_LONGEST = 2**53
_LARGEST_POWER = 32.0
_ERROR = 1e-28


@compiled
def growth(start: float, final: float, microseconds: int) -> float:
    """Answer (final / start) to the power of 1 / years, less 1, rounded once; NaN if in doubt.

    `start`, `final` above 0; `microseconds` above 0.
    """
    inside = 1.0 / _MOST < start < _MOST and 1.0 / _MOST < final < _MOST
    if not inside or microseconds >= _LONGEST:
        return math.nan
    if final == start:
        return 0.0
    whole = final / start
    ratio = (whole, _lacking(final, whole, start) / start)
    power = _over(_times(_log(ratio), (MICROSECONDS_PER_YEAR, 0.0)), float(microseconds))
    if not abs(power[0]) < _LARGEST_POWER:
        return math.nan
    grown = _grown(power)
    error = _ERROR * (1.0 + MICROSECONDS_PER_YEAR / microseconds) * (1.0 + abs(grown[0]))
    low, high = grown[0] + (grown[1] - error), grown[0] + (grown[1] + error)
    return low if low == high else math.nan


@compiled
def _sum(a: float, b: float) -> Pair:
    total = a + b
    taken = total - a
    return total, (a - (total - taken)) + (b - taken)


@compiled
def _product(a: float, b: float) -> Pair:
    left, right = a * _SPLIT, b * _SPLIT
    a_high, b_high = left - (left - a), right - (right - b)
    a_low, b_low = a - a_high, b - b_high
    total = a * b
    return total, ((a_high * b_high - total) + a_high * b_low + a_low * b_high) + a_low * b_low


@compiled
def _lacking(a: float, quotient: float, b: float) -> float:
    """Answer a - quotient * b, rounded once."""
    high, low = _product(quotient, b)
    return (a - high) - low


@compiled
def _plus(a: Pair, b: Pair) -> Pair:
    total, rest = _sum(a[0], b[0])
    return _sum(total, rest + (a[1] + b[1]))


@compiled
def _times(a: Pair, b: Pair) -> Pair:
    total, rest = _product(a[0], b[0])
    return _sum(total, rest + (a[0] * b[1] + a[1] * b[0]))


@compiled
def _over(a: Pair, b: float) -> Pair:
    whole = a[0] / b
    return _sum(whole, (_lacking(a[0], whole, b) + a[1]) / b)


@compiled
def _grown(x: Pair) -> Pair:
    """Answer e to the power of x, less 1.

    By 2 ** k * (1 + s), with s from a series over what is left, halved eight times and doubled
    back; never as a difference from 1, so that little is lost where x is small.
    """
    twos = math.floor(x[0] / _LOG_2[0] + 0.5)
    rest = _plus(x, _times((-twos, 0.0), _LOG_2))
    scale = 2.0**-_HALVINGS
    rest = (rest[0] * scale, rest[1] * scale)
    series = (1.0, 0.0)
    for n in range(_TERMS, 1, -1):
        series = _plus((1.0, 0.0), _over(_times(series, rest), float(n)))
    series = _times(series, rest)
    for _ in range(_HALVINGS):
        series = _plus((2.0 * series[0], 2.0 * series[1]), _times(series, series))
    if twos == 0.0:
        return series
    factor = math.ldexp(1.0, int(twos))
    return _plus((series[0] * factor, series[1] * factor), _sum(factor, -1.0))


@compiled
def _log(x: Pair) -> Pair:
    """Answer the logarithm: a first guess, set right by what its power lacks."""
    guess = math.log(x[0])
    power = _plus(_grown((-guess, 0.0)), (1.0, 0.0))
    left = _plus(_times(x, power), (-1.0, 0.0))
    square = left[0] * left[0]
    return _plus((guess, 0.0), (left[0], left[1] - 0.5 * square))
