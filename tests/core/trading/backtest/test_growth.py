import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.trading.backtest.daily import cagr
from core.trading.backtest.growth import growth
from core.trading.bars.timeframes import MICROSECONDS_PER_DAY

YEARS = st.integers(1, 2**50)
RATIOS = st.floats(1e-3, 1e3) | st.floats(0.999, 1.001)


@given(st.floats(1, 1e9), RATIOS, YEARS)
@example(10_000.0, 1.0, MICROSECONDS_PER_DAY)
def test_growth_rounds_as_decimals_do_or_says_that_it_cannot_tell(
    start: float, ratio: float, microseconds: int
) -> None:
    found = growth(start, start * ratio, microseconds)
    assert math.isnan(found) or found == cagr(start, start * ratio, microseconds)


def test_it_can_tell_for_what_people_run() -> None:
    told = [growth(1e4, 1e4 + 97.0 * k, 365 * MICROSECONDS_PER_DAY) for k in range(-100, 400)]
    assert not any(map(math.isnan, told))
    assert growth(100.0, 121.0, 2 * 8766 * MICROSECONDS_PER_DAY // 24) == pytest.approx(0.1)


def test_what_is_too_steep_to_tell_is_left_to_decimals() -> None:
    assert math.isnan(growth(1.0, 2.0, 60_000_000))
    assert math.isnan(growth(1e-40, 1.0, MICROSECONDS_PER_DAY))
