"""Indicators over arrays: TA-Lib behind a door that keeps NaN and bad shapes out.

One NaN inside makes TA-Lib's RSI answer 0.0 for ever and its SMA NaN for ever, so each
function runs on stretches of known values only, and begins anew after a hole.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import talib
from talib import abstract

from core.errors import Fault, InvalidInputError
from core.trading.bars.series import FloatArray
from core.trading.indicators.catalogue import Indicator
from core.trading.indicators.windows import count_unknown, forget_infinities

KEEPS_INFINITIES = frozenset(("EMA", "SMA"))
"""Each value is the one before plus finite terms, so that none is finite after an infinite one."""

Arguments = Mapping[str, float]


def lookback(indicator: Indicator, arguments: Arguments) -> int:
    """Answer how many values at the start of a series stay unknown with these arguments."""
    return _lookback(indicator.name, tuple(sorted(_as_called(indicator, arguments).items())))


@lru_cache(maxsize=4096)
def _lookback(name: str, arguments: tuple[tuple[str, float], ...]) -> int:
    function = abstract.Function(name)
    function.parameters = dict(arguments)
    return int(function.lookback)


def compute(
    indicator: Indicator,
    series: Sequence[FloatArray],
    arguments: Arguments,
    *,
    known: bool = False,
) -> tuple[FloatArray, ...]:
    """Compute every output over whole series, unknown (NaN) until warmed up.

    `series`: float64[n] each, oldest first, in the order of `indicator.sources`; they may hold
    NaN, before and after which the function starts anew. `arguments`: the ones that differ
    from the defaults. `known`: whether the caller has seen that no value is unknown. Answers
    float64[n] for each output, without infinities. Raises InvalidInputError where TA-Lib
    refuses the arguments.
    """
    series = [np.require(column, np.float64, ["C", "W"]) for column in series]
    called = _as_called(indicator, arguments)
    warmup = lookback(indicator, arguments)
    n = len(series[0])
    stretches = [(0, n)] if known else _known_stretches(series)
    if stretches == [(0, n)] and n > warmup:
        return _run(indicator, series, called, warmup)
    outputs = tuple(np.full(n, np.nan) for _ in indicator.outputs)
    for start, stop in stretches:
        if stop - start > warmup:
            part = _run(indicator, [column[start:stop] for column in series], called, warmup)
            for output, values in zip(outputs, part, strict=True):
                output[start:stop] = values
    return outputs


def _as_called(indicator: Indicator, arguments: Arguments) -> dict[str, float]:
    return {
        name: int(value) if argument.whole else float(value)
        for name, argument in indicator.arguments.items()
        for value in [arguments.get(name, argument.default)]
    }


def _known_stretches(series: Sequence[FloatArray]) -> list[tuple[int, int]]:
    if not any(count_unknown(column) for column in series):
        return [(0, len(series[0]))]
    known = np.isfinite(series[0])
    for column in series[1:]:
        known &= np.isfinite(column)
    edges = np.flatnonzero(np.diff(known.astype(np.int8), prepend=0, append=0))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _run(
    indicator: Indicator, series: Sequence[FloatArray], called: Arguments, warmup: int
) -> tuple[FloatArray, ...]:
    try:
        answer = getattr(talib, indicator.name)(*series, *called.values())
    except Exception as error:
        raise InvalidInputError(
            f"TA-Lib refuses these arguments of {indicator.name}: {error}",
            errors=[Fault("", "out_of_range", str(error), "Choose other arguments.")],
        ) from error
    outputs = answer if isinstance(answer, tuple | list) else (answer,)
    columns = tuple(np.require(output, np.float64, ["C", "W"]) for output in outputs)
    for values in columns:
        values[:warmup] = np.nan
        if indicator.name not in KEEPS_INFINITIES or not math.isfinite(values[-1]):
            forget_infinities(values)
    return columns
