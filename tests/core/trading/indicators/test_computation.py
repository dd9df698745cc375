from itertools import pairwise

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from core.trading.bars.series import FloatArray
from core.trading.indicators.catalogue import Indicator, indicator
from core.trading.indicators.computation import KEEPS_INFINITIES, compute

SIZES = st.sampled_from([1.0, 100.0, 1e154, 1e307, 1.7e308, -1.7e308])


def found(name: str) -> Indicator:
    function = indicator(name)
    assert function is not None
    return function


def stays_infinite(outputs: FloatArray) -> bool:
    return bool((np.diff(np.isfinite(outputs).astype(int)) <= 0).all())


@pytest.mark.parametrize("name", sorted(KEEPS_INFINITIES))
@given(values=st.lists(SIZES, min_size=4, max_size=40), period=st.integers(2, 4))
def test_a_function_searched_at_its_end_alone_is_never_finite_after_an_infinity(
    name: str, values: list[float], period: int
) -> None:
    raw = getattr(talib, name)(np.array(values), timeperiod=period)
    assert stays_infinite(raw[period - 1 :])
    (told,) = compute(found(name), [np.array(values)], {"timeperiod": period})
    assert not np.isinf(told).any()


def test_a_function_that_leaves_an_infinity_again_would_be_found() -> None:
    values = np.array([1e-300, 1e300, 1.0, 1.0, 1.0])
    assert not stays_infinite(talib.ROC(values, timeperiod=1)[1:])
    assert np.isnan(compute(found("ROC"), [values], {"timeperiod": 1})[0]).tolist() == [
        *(True, True, False, False, False)
    ]


@given(
    holes=st.sets(st.integers(0, 79), max_size=6),
    name=st.sampled_from(["SMA", "RSI", "MACD", "BBANDS"]),
)
def test_every_stretch_between_holes_is_a_series_of_its_own(holes: set[int], name: str) -> None:
    series = 100 + np.cumsum(np.random.default_rng(3).normal(size=80))
    series[sorted(holes)] = np.nan
    together = compute(found(name), [series], {})
    edges = [-1, *sorted(holes), 80]
    for before, after in pairwise(edges):
        alone = compute(found(name), [series[before + 1 : after].copy()], {})
        for output, part in zip(together, alone, strict=True):
            assert output[before + 1 : after].tobytes() == part.tobytes()
    assert all(np.isnan(output[sorted(holes)]).all() for output in together)
